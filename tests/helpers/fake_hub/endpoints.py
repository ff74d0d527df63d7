"""Answer requests to the Hub's endpoints and its storage host."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from hashlib import sha1, sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from fake_hub.exchange import Answer, Refusal, Request, part_of
from fake_hub.repositories import Blob, Commit, Repository, card_error, needs_lfs

if TYPE_CHECKING:
    from fake_hub import FakeHub

USER = "user"
DATE = "2025-01-01T00:00:00.000Z"

_ROUTES: list[tuple[str, re.Pattern[str], str]] = []
_REPOSITORY = r"/api/(?P<kind>model|dataset|space)s/(?P<name>[^/]+/[^/]+)"


def route(method: str, pattern: str) -> Callable[[Any], Any]:
    """Serve `method` on paths of `pattern`; its named groups become arguments."""

    def register(function: Any) -> Any:
        _ROUTES.append((method, re.compile(pattern), function.__name__))
        return function

    return register


class Api:
    """The Hub's endpoints, as methods from a request to an answer."""

    def __init__(self, hub: FakeHub):
        self.hub = hub

    def answer(self, request: Request) -> Answer:
        method = "GET" if request.method == "HEAD" else request.method
        for wanted, pattern, name in _ROUTES:
            if wanted == method and (match := pattern.fullmatch(request.path)):
                groups = {
                    key: unquote(value) for key, value in match.groupdict().items() if value is not None
                }
                return getattr(self, name)(request, **groups)
        raise Refusal(404, f"No such page: {request.path}", "RepoNotFound")

    # Accounts and repositories

    @route("GET", "/api/whoami-v2")
    def whoami(self, request: Request) -> Answer:
        self._need_login(request)
        return Answer.json({"type": "user", "name": USER, "orgs": [], "auth": {"type": "access_token"}})

    @route("POST", "/api/repos/create")
    def create(self, request: Request) -> Answer:
        self._need_login(request)
        given = request.json()
        kind, name = given.get("type") or "model", f"{given.get('organization') or USER}/{given['name']}"
        if not name.startswith(f"{USER}/"):
            raise Refusal(403, f"You don't have the rights to create a {kind} under this namespace")
        answer = {"url": f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{name}", "name": name}
        if (kind, name) in self.hub.repositories:
            return Answer.json({"error": f"You already created this {kind} repo: {name}", **answer}, 409)
        private = given.get("visibility") == "private" or bool(given.get("private"))
        self.hub.repositories[kind, name] = Repository(kind, name, private)
        return Answer.json(answer)

    @route("GET", _REPOSITORY + r"(/revision/(?P<revision>[^/]+))?")
    def info(self, request: Request, kind: str, name: str, revision: str = "main") -> Answer:
        repository = self._repository(request, kind, name)
        commit = repository.commit_at(revision)
        siblings = []
        for path, blob in sorted(commit.files.items()):
            metadata: dict[str, Any] = {"size": len(blob.content), "blobId": blob.oid}
            if blob.lfs:
                metadata["lfs"] = {
                    "sha256": blob.sha256,
                    "size": len(blob.content),
                    "pointerSize": len(blob.pointer),
                }
            siblings.append({"rfilename": path, **(metadata if request.query.get("blobs") else {})})
        about = {
            "id": name,
            "modelId": name,
            "author": USER,
            "sha": commit.sha,
            "private": repository.private,
            "tags": [],
        }
        counts = {"downloads": 0, "likes": 0, "gated": False, "disabled": False}
        return Answer.json({**about, **counts, "createdAt": DATE, "lastModified": DATE, "siblings": siblings})

    @route("GET", _REPOSITORY + "/refs")
    def refs(self, request: Request, kind: str, name: str) -> Answer:
        groups: dict[str, list[dict[str, str]]] = {
            "branches": [],
            "converts": [],
            "tags": [],
            "pullRequests": [],
        }
        for ref, sha in self._repository(request, kind, name).refs.items():
            if ref.startswith("refs/pr/"):
                groups["pullRequests"].append(
                    {"name": ref.removeprefix("refs/pr/"), "ref": ref, "targetCommit": sha}
                )
            else:
                groups["branches"].append({"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": sha})
        return Answer.json(groups)

    @route("POST", _REPOSITORY + r"/branch/(?P<branch>[^/]+)")
    def branch(self, request: Request, kind: str, name: str, branch: str) -> Answer:
        self._need_login(request)
        self._repository(request, kind, name).branch(branch, request.json().get("startingPoint", "main"))
        return Answer.json({})

    # Uploads

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self, request: Request) -> Answer:
        error = card_error(request.json()["content"])
        return Answer.json(
            {"errors": [{"message": error}] if error else [], "warnings": []}, 400 if error else 200
        )

    @route("POST", _REPOSITORY + r"/preupload/(?P<revision>[^/]+)")
    def preupload(self, request: Request, kind: str, name: str, revision: str) -> Answer:
        self._need_login(request)
        files = self._repository(request, kind, name).commit_at(revision).files
        answers = []
        for given in request.json()["files"]:
            path, there = given["path"], files.get(given["path"])
            mode = "lfs" if needs_lfs(path, base64.b64decode(given["sample"])) else "regular"
            oid = None if there is None else there.sha256 if there.lfs else there.oid
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return Answer.json({"files": answers})

    @route("POST", r"/((?P<kind>dataset|space)s/)?(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
    def lfs_batch(self, request: Request, name: str, kind: str = "model") -> Answer:
        self._need_login(request)
        repository = self._repository(request, kind, name)
        objects = []
        for given in request.json()["objects"]:
            actions = {
                "upload": {"href": f"{self.hub.storage_url}/{given['oid']}"},
                "verify": {"href": f"{self.hub.url}/{repository.name}.git/info/lfs/objects/verify"},
            }
            objects.append({**given, **({} if given["oid"] in self.hub.storage else {"actions": actions})})
        return Answer.json({"transfer": "basic", "objects": objects})

    @route("POST", r"/[^/]+/[^/]+\.git/info/lfs/objects/verify")
    def lfs_verify(self, request: Request) -> Answer:
        self._need_login(request)
        given = request.json()
        if len(self.hub.storage.get(given["oid"], b"")) != given["size"]:
            raise Refusal(404, f"LFS object {given['oid']} did not arrive")
        return Answer.json({})

    @route("POST", _REPOSITORY + r"/commit/(?P<revision>[^/]+)")
    def commit(self, request: Request, kind: str, name: str, revision: str) -> Answer:
        self._need_login(request)
        repository = self._repository(request, kind, name)
        header, *steps = (json.loads(line) for line in request.body.splitlines())
        pull_request = request.query.get("create_pr") == "1"
        before = dict(repository.refs)
        try:
            ref = f"refs/pr/{repository.pull_request(revision)}" if pull_request else revision
            summary, parent = header["value"]["summary"], header["value"].get("parentCommit")
            commit = repository.commit(ref, summary, parent, lambda files: self._apply(steps, files))
        except Refusal:
            repository.refs = before
            raise
        page = f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{name}"
        number = ref.rpartition("/")[2]
        address = f"{page}/discussions/{number}" if pull_request else None
        return Answer.json(
            {"commitUrl": f"{page}/commit/{commit.sha}", "commitOid": commit.sha, "pullRequestUrl": address}
        )

    def _apply(self, steps: list[dict[str, Any]], files: dict[str, Blob]) -> None:
        for step in steps:
            path = step["value"]["path"]
            if step["key"] == "file":
                files[path] = Blob(base64.b64decode(step["value"]["content"]))
            elif step["key"] == "lfsFile":
                if step["value"]["oid"] not in self.hub.storage:
                    raise Refusal(400, f"An LFS pointer pointed to a file that does not exist: {path}")
                files[path] = Blob(self.hub.storage[step["value"]["oid"]], lfs=True)
            elif step["key"] == "deletedFile":
                if files.pop(path, None) is None:
                    raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
            elif step["key"] == "deletedFolder":
                for inside in [name for name in files if name.startswith(path.rstrip("/") + "/")]:
                    del files[inside]
            else:
                raise Refusal(400, f"Unknown operation {step['key']}")
        if "README.md" in files and (error := card_error(files["README.md"].content.decode())):
            raise Refusal(400, f"Invalid metadata in README.md: {error}")

    # Listings and downloads

    @route("GET", _REPOSITORY + r"/tree/(?P<revision>[^/]+)(/(?P<folder>.+))?")
    def tree(self, request: Request, kind: str, name: str, revision: str, folder: str = "") -> Answer:
        commit = self._repository(request, kind, name).commit_at(revision)
        prefix = f"{folder.strip('/')}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for path, blob in sorted(commit.files.items()):
            if not path.startswith(prefix):
                continue
            inner = path.removeprefix(prefix).split("/")[:-1]
            for depth in range(1, len(inner) + 1):
                entry = _folder(prefix + "/".join(inner[:depth]))
                entries.setdefault(entry["path"], entry)
            entries[path] = blob.info(path)
        if prefix and not entries:
            raise _no_entry(folder, commit)
        if request.query.get("recursive", "").lower() != "true":
            entries = {path: entry for path, entry in entries.items() if "/" not in path.removeprefix(prefix)}
        return Answer.json(list(entries.values()))

    @route("POST", _REPOSITORY + r"/paths-info/(?P<revision>[^/]+)")
    def paths_info(self, request: Request, kind: str, name: str, revision: str) -> Answer:
        files = self._repository(request, kind, name).commit_at(revision).files
        form = request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        wanted = parse_qs(request.body.decode())["paths"] if form else request.json()["paths"]
        entries = []
        for path in wanted:
            if path in files:
                entries.append(files[path].info(path))
            elif any(other.startswith(path.rstrip("/") + "/") for other in files):
                entries.append(_folder(path.rstrip("/")))
        return Answer.json(entries)

    @route(
        "GET", r"/((?P<kind>dataset|space)s/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
    )
    def resolve(self, request: Request, name: str, revision: str, path: str, kind: str = "model") -> Answer:
        commit = self._repository(request, kind, name).commit_at(revision)
        if path not in commit.files:
            raise _no_entry(path, commit)
        blob = commit.files[path]
        about = {"X-Repo-Commit": commit.sha, "ETag": f'"{blob.oid}"'}
        if blob.lfs:
            linked = {"X-Linked-Size": str(len(blob.content)), "X-Linked-ETag": f'"{blob.sha256}"'}
            return Answer(302, b"", {**about, **linked, "Location": f"{self.hub.storage_url}/{blob.sha256}"})
        status, body, headers = part_of(blob.content, request.headers.get("Range"))
        return Answer(status, body, {**about, **headers})

    def _need_login(self, request: Request) -> None:
        if not self._logged_in(request):
            raise Refusal(401, "Invalid username or password.")

    def _logged_in(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _repository(self, request: Request, kind: str, name: str) -> Repository:
        """The repository, if there is one that the request may know of."""
        repository = self.hub.repositories.get((kind, name))
        if repository is None or (repository.private and not self._logged_in(request)):
            raise Refusal(404 if self._logged_in(request) else 401, "Repository not found", "RepoNotFound")
        return repository


class Storage:
    """The host of the LFS objects. It is someone else's: its addresses are signed, and a
    token sent along is refused.
    """

    def __init__(self, hub: FakeHub):
        self.hub = hub

    def answer(self, request: Request) -> Answer:
        if "Authorization" in request.headers:
            raise Refusal(400, "Only one auth mechanism allowed")
        oid = request.path.removeprefix("/")
        if request.method == "PUT":
            if sha256(request.body).hexdigest() != oid:
                raise Refusal(400, "The SHA-256 of the content is another")
            self.hub.storage[oid] = request.body
            return Answer()
        if oid not in self.hub.storage:
            raise Refusal(404, "No such object")
        status, body, headers = part_of(self.hub.storage[oid], request.headers.get("Range"))
        return Answer(status, body, {**headers, "ETag": f'"{oid}"'})


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": sha1(path.encode()).hexdigest()}


def _no_entry(path: str, commit: Commit) -> Refusal:
    return Refusal(404, f"Entry not found: {path}", "EntryNotFound", {"X-Repo-Commit": commit.sha})
