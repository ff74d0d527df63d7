"""A Hub on this machine, behind the HTTP protocol of the real one.

    with FakeHub() as hub:
        api = HfApi(endpoint=hub.url, token=hub.token)

It answers what `huggingface_hub` sends to create, upload (plain files and LFS, each
commit atomic), list and download. As on the real Hub, large files lie on a storage host
of its own, which is reached by redirection and must never see the token. `hub.fail(...)`
makes requests fail.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_hub.endpoints import USER, Api, Storage
from fake_hub.exchange import Entry, Fault, FaultRule
from fake_hub.repositories import Commit, Repository
from fake_hub.server import HubServer

__all__ = ["TOKEN", "USER", "Commit", "FakeHub", "Fault", "Repository"]

TOKEN = "hf_fakefakefakefakefakefakefakefake"


class FakeHub:
    """The running server; a context manager.

    Attributes:
        url: Its address, for `HF_ENDPOINT`. token: The one token it takes, as the user
            `USER`.
        log: Every request so far, oldest first.
    """

    def __init__(self) -> None:
        self.token = TOKEN
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.storage: dict[str, bytes] = {}  # LFS objects by SHA-256
        self.log: list[Entry] = []
        self.lock = threading.RLock()
        self._faults: list[FaultRule] = []
        self._servers = [HubServer(self, Api(self).answer), HubServer(self, Storage(self).answer)]
        self.url, self.storage_url = (server.url for server in self._servers)

    def __enter__(self) -> "FakeHub":
        return self

    def __exit__(self, *error: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def repository(self, name: str, kind: str = "model") -> Repository:
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
        """What a process needs in its environment to take this for the Hub, besides
        `HF_HUB_DISABLE_XET=1`.
        """
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }

    @contextmanager
    def here(self, cache: Path) -> Iterator["FakeHub"]:
        """Let this process take it for the Hub, as if its libraries had been imported in
        that environment.

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
            patch.setattr(
                "transformers.utils.hub._hf_api", None, raising=False
            )  # kept since transformers 5.10
            yield self

    def fail(self, method: str, path: str, kind: Fault, times: int = 1) -> None:
        """Let the next `times` requests whose path `path` (a regular expression) is found
        in fail.
        """
        self._faults.append(FaultRule(method, re.compile(path), kind, times))

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
