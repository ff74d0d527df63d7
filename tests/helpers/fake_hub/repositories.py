"""Repositories of the Hub: commits of files, branches, pull requests, and LFS."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Any

import yaml

from fake_hub.exchange import Refusal

LFS_SUFFIXES = (".arrow", ".bin", ".gguf", ".h5", ".onnx", ".parquet", ".pt", ".safetensors")


@dataclass(frozen=True)
class Blob:
    content: bytes
    lfs: bool = False

    @property
    def sha256(self) -> str:
        return sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        """Return what git itself stores for a file in LFS."""
        version = "version https://git-lfs.github.com/spec/v1"
        return f"{version}\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()

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
    """Commits, and the branches and pull requests that point to them."""

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

    def commit(
        self, ref: str, message: str, parent: str | None, change: Callable[[dict[str, Blob]], None]
    ) -> Commit:
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
            [
                len(self.commits),
                self.kind,
                self.name,
                message,
                {path: files[path].oid for path in sorted(files)},
            ]
        )
        commit = Commit(sha1(listing.encode()).hexdigest(), message, parent, files)
        self.commits[commit.sha] = commit
        self.refs[ref] = commit.sha
        return commit


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
