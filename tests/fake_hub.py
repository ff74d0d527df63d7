"""A Hub on this machine: repositories with commits, branches and pull requests behind the HTTP protocol of the real one.

    with FakeHub() as hub:
        api = HfApi(endpoint=hub.url, token=hub.token)

It answers what `huggingface_hub` sends to create, upload (plain files and LFS, each commit atomic), list and download. As on the
real Hub, large files lie on a storage host of its own, which is reached by redirection and must never see the token.
`hub.fail(...)` makes requests fail.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

TOKEN = "hf_fakefakefakefakefakefakefakefake"
USER = "user"
LFS_SUFFIXES = (".arrow", ".bin", ".gguf", ".h5", ".onnx", ".parquet", ".pt", ".safetensors")
DATE = "2025-01-01T00:00:00.000Z"

# drop: the connection closes in the midst of the request. lost: the request is served and its answer never arrives.
Fault = Literal["drop", "lost", "500", "429"]


class FakeHub:
    """The running server; a context manager.

    Attributes:
        url: Its address, for `HF_ENDPOINT`. token: The one token it takes, as the user `USER`.
        log: Every request so far, oldest first.
    """

    def __init__(self) -> None:
        self.token = TOKEN
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.storage: dict[str, bytes] = {}  # LFS objects by SHA-256
        self.log: list[Entry] = []
        self.lock = threading.RLock()
        self._faults: list[_Fault] = []
        self._servers = [_Server(self, Api(self).answer), _Server(self, Storage(self).answer)]
        self.url, self.storage_url = (server.url for server in self._servers)

    def __enter__(self) -> "FakeHub":
        return self

    def __exit__(self, *error: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def repository(self, name: str, kind: str = "model") -> "Repository":
        return self.repositories[kind, name]

    def files(self, name: str, revision: str = "main", kind: str = "model") -> dict[str, bytes]:
        """Content of every file of a revision, by path."""
        files = self.repository(name, kind).commit_at(revision).files
        return {path: blob.content for path, blob in files.items()}

    def all_blobs(self) -> Iterator[bytes]:
        """Everything that was ever uploaded."""
        yield from self.storage.values()
        for repository in self.repositories.values():
            for commit in repository.commits.values():
                yield from (blob.content for blob in commit.files.values())

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to take this for the Hub, besides `HF_HUB_DISABLE_XET=1`."""
        return {"HF_ENDPOINT": self.url, "HF_TOKEN": self.token, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}

    @contextmanager
    def here(self, cache: Path) -> Iterator["FakeHub"]:
        """Let this process take it for the Hub, as if its libraries had been imported in that environment.

        The client tries failed requests again as often as ever, and without waiting.
        """
        constants = {
            "ENDPOINT": self.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": self.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(cache),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            for name, constant in constants.items():
                patch.setattr(f"huggingface_hub.constants.{name}", constant)
            patch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
            patch.setattr("transformers.utils.hub._hf_api", None, raising=False)  # kept since transformers 5.10
            yield self

    def fail(self, method: str, path: str, kind: Fault, times: int = 1) -> None:
        """Let the next `times` requests whose path `path` (a regular expression) is found in fail."""
        self._faults.append(_Fault(method, re.compile(path), kind, times))

    def heal(self) -> None:
        """Forget the faults that have not struck yet."""
        self._faults.clear()

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self._faults:
                if fault.times and fault.method == method and fault.path.search(path):
                    fault.times -= 1
                    return fault.kind
        return None


# -- repositories -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blob:
    content: bytes
    lfs: bool = False

    @property
    def sha256(self) -> str:
        return sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git itself stores for a file in LFS."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()

    @property
    def oid(self) -> str:
        """The id that git gives to it."""
        stored = self.pointer if self.lfs else self.content
        return sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    def info(self, path: str) -> dict[str, Any]:
        info: dict[str, Any] = {"type": "file", "path": path, "size": len(self.content), "oid": self.oid}
        if self.lfs:
            info["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return info


@dataclass(frozen=True)
class Commit:
    sha: str
    message: str
    parent: str | None
    files: Mapping[str, Blob]


class Repository:
    """Commits, which never change, and the branches and pull requests that point to them."""

    def __init__(self, kind: str, name: str, private: bool):
        self.kind, self.name, self.private = kind, name, private
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        attributes = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
        self._add_commit("main", "initial commit", None, {".gitattributes": Blob(attributes.encode())})

    def commit_at(self, revision: str) -> Commit:
        """The commit of a branch, a pull request (`refs/pr/1`) or a commit's own id."""
        sha = self.refs.get(revision, revision)
        if sha not in self.commits:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[sha]

    def history(self, revision: str = "main") -> list[Commit]:
        """Commits of a revision, oldest first."""
        commits = [self.commit_at(revision)]
        while (parent := commits[0].parent) is not None:
            commits.insert(0, self.commits[parent])
        return commits

    def branch(self, name: str, start: str) -> None:
        if name in self.refs:
            raise Refusal(409, f"Reference already exists: {name}")
        self.refs[name] = self.commit_at(start).sha

    def pull_request(self, start: str) -> int:
        """Open one from `start` and give its number."""
        number = 1 + sum(ref.startswith("refs/pr/") for ref in self.refs)
        self.branch(f"refs/pr/{number}", start)
        return number

    def commit(self, ref: str, message: str, parent: str | None, change: Callable[[dict[str, Blob]], None]) -> Commit:
        """One more commit on `ref`. Where `change` refuses, nothing has happened."""
        if ref not in self.refs:
            raise Refusal(404, f"Invalid rev id: {ref}", "RevisionNotFound")
        head = self.commit_at(ref)
        if parent not in (None, head.sha):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        change(files)
        return self._add_commit(ref, message, head.sha, files)

    def _add_commit(self, ref: str, message: str, parent: str | None, files: dict[str, Blob]) -> Commit:
        listing = json.dumps(
            [len(self.commits), self.kind, self.name, message, {path: files[path].oid for path in sorted(files)}]
        )
        commit = Commit(sha1(listing.encode()).hexdigest(), message, parent, files)
        self.commits[commit.sha] = commit
        self.refs[ref] = commit.sha
        return commit


# -- requests and answers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    method: str
    target: str  # as on the request line
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> "Answer":
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


@dataclass(frozen=True)
class Entry:
    """A line of the log; `status` is None where the connection was cut."""

    method: str
    target: str
    status: int | None
    authorized: bool


class Refusal(Exception):
    """Becomes an answer with an error status, and with the `X-Error-Code` that clients go by."""

    def __init__(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}

    def answer(self) -> Answer:
        headers = {"X-Error-Message": self.message.partition("\n")[0], **self.headers}
        if self.code:
            headers["X-Error-Code"] = self.code
        return Answer.json({"error": self.message}, self.status, **headers)


@dataclass
class _Fault:
    method: str
    path: re.Pattern[str]
    kind: Fault
    times: int


def part_of(content: bytes, wanted: str | None) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a download, by the request's `Range` header."""
    headers = {"Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
    if match is None:
        return 200, content, headers
    first, last = int(match[1]), min(int(match[2] or len(content) - 1), len(content) - 1)
    if first > last:
        raise Refusal(416, "Range Not Satisfiable", headers={"Content-Range": f"bytes */{len(content)}"})
    return 206, content[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(content)}"}


# -- endpoints ----------------------------------------------------------------------------------------------------------

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
                groups = {key: unquote(value) for key, value in match.groupdict().items() if value is not None}
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
                metadata["lfs"] = {"sha256": blob.sha256, "size": len(blob.content), "pointerSize": len(blob.pointer)}
            siblings.append({"rfilename": path, **(metadata if request.query.get("blobs") else {})})
        about = {"id": name, "modelId": name, "author": USER, "sha": commit.sha, "private": repository.private, "tags": []}
        counts = {"downloads": 0, "likes": 0, "gated": False, "disabled": False}
        return Answer.json({**about, **counts, "createdAt": DATE, "lastModified": DATE, "siblings": siblings})

    @route("GET", _REPOSITORY + "/refs")
    def refs(self, request: Request, kind: str, name: str) -> Answer:
        groups: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": [], "pullRequests": []}
        for ref, sha in self._repository(request, kind, name).refs.items():
            if ref.startswith("refs/pr/"):
                groups["pullRequests"].append({"name": ref.removeprefix("refs/pr/"), "ref": ref, "targetCommit": sha})
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
        return Answer.json({"errors": [{"message": error}] if error else [], "warnings": []}, 400 if error else 200)

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
        return Answer.json({"commitUrl": f"{page}/commit/{commit.sha}", "commitOid": commit.sha, "pullRequestUrl": address})

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

    @route("GET", r"/((?P<kind>dataset|space)s/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
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
    """The host of the LFS objects. It is someone else's: its addresses are signed, and a token sent along is refused."""

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


def needs_lfs(path: str, sample: bytes) -> bool:
    return path.endswith(LFS_SUFFIXES) or b"\0" in sample


def card_error(card: str) -> str | None:
    """What is wrong with the metadata of a card."""
    match = re.match(r"---\r?\n(.*?)\r?\n?---\r?\n", card, re.DOTALL)
    try:
        metadata = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError as error:
        return str(error)
    return None if metadata is None or isinstance(metadata, dict) else "the metadata must be a mapping"


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": sha1(path.encode()).hexdigest()}


def _no_entry(path: str, commit: Commit) -> Refusal:
    return Refusal(404, f"Entry not found: {path}", "EntryNotFound", {"X-Repo-Commit": commit.sha})


# -- HTTP ---------------------------------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: FakeHub, answer: Callable[[Request], Answer]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.answer = hub, answer
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output clean."""

    def handle_request(self) -> None:
        hub = self.server.hub
        fault = hub.take_fault(self.command, self.path)
        if fault == "drop":
            self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
            return self._cut()
        request = Request(self.command, self.path, self.headers, self._read_body())  # type: ignore[arg-type]
        answer = _refusal(fault).answer() if fault in ("500", "429") else self._answer(request)
        if fault == "lost":
            return self._cut()
        self._log(answer.status)
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def _answer(self, request: Request) -> Answer:
        try:
            with self.server.hub.lock:
                return self.server.answer(request)
        except Refusal as refusal:
            return refusal.answer()

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _cut(self) -> None:
        self._log(None)
        self.close_connection = True

    def _log(self, status: int | None) -> None:
        self.server.hub.log.append(Entry(self.command, self.path, status, "Authorization" in self.headers))


def _refusal(fault: Fault) -> Refusal:
    if fault == "429":
        return Refusal(429, "Too many requests", headers={"Retry-After": "0"})
    return Refusal(500, "Internal Server Error")
