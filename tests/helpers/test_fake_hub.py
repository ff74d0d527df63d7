"""The Hub of the tests, under the real client: what the round trip relies on."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import USER, FakeHub, Fault
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, HfFileSystem
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

REPO = f"{USER}/thing"
WEIGHTS = bytes(range(256)) * 40


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub() as running, running.here(tmp_path / "cache"):
        yield running


@pytest.fixture
def api(hub: FakeHub) -> HfApi:
    return HfApi()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "up" / "sub").mkdir(parents=True)
    (tmp_path / "up" / "README.md").write_text("---\nlicense: mit\n---\n# Ä thing\n", "utf-8")
    (tmp_path / "up" / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "up" / "sub" / "code.py").write_text("x = 1\n")
    return tmp_path / "up"


def upload(api: HfApi, folder: Path, **options: Any) -> Any:
    api.create_repo(REPO, exist_ok=True)
    return api.upload_folder(repo_id=REPO, folder_path=folder, **options)


def content(folder: str | Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def test_a_folder_comes_back_and_an_old_revision_stays(hub: FakeHub, api: HfApi, folder: Path) -> None:
    first, before = upload(api, folder), content(folder)
    (folder / "model.safetensors").write_bytes(WEIGHTS[::-1])
    (folder / "sub" / "code.py").unlink()
    second = upload(api, folder, delete_patterns="*.py")
    assert first.oid != second.oid
    for revision, wanted in ((None, content(folder)), (first.oid, before)):
        down = content(api.snapshot_download(REPO, revision=revision))
        assert down.pop(".gitattributes")
        assert down == wanted
    assert [commit.sha for commit in hub.repository(REPO).history()][-2:] == [first.oid, second.oid]
    assert hub.files(REPO, first.oid)["model.safetensors"] == WEIGHTS


def test_listings_give_size_and_digest(hub: FakeHub, api: HfApi, folder: Path) -> None:
    upload(api, folder)
    files = {entry.path: entry for entry in api.list_repo_tree(REPO, recursive=True)}
    assert set(files) == {".gitattributes", *content(folder), "sub"}
    assert [entry.path for entry in api.list_repo_tree(REPO, "sub")] == ["sub/code.py"]
    weights: Any = files["model.safetensors"]
    assert weights.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest() and weights.size == len(WEIGHTS)
    assert [info.path for info in api.get_paths_info(REPO, ["sub", "README.md", "none"])] == [
        "sub",
        "README.md",
    ]
    assert api.model_info(REPO, files_metadata=True).siblings


def test_a_part_of_a_file_can_be_read(hub: FakeHub, api: HfApi, folder: Path) -> None:
    upload(api, folder)
    for name in ("model.safetensors", "sub/code.py"):
        with HfFileSystem(skip_instance_cache=True).open(f"{REPO}/{name}", block_size=64) as file:
            file.seek(2)
            assert file.read(3) == (folder / name).read_bytes()[2:5]


def test_unchanged_files_are_not_sent_again(hub: FakeHub, api: HfApi, folder: Path) -> None:
    upload(api, folder)
    puts = sum(entry.method == "PUT" for entry in hub.log)
    upload(api, folder)
    assert len(hub.repository(REPO).history()) == 2
    assert puts == sum(entry.method == "PUT" for entry in hub.log) == 1


def test_a_pull_request_and_a_branch_leave_main_alone(hub: FakeHub, api: HfApi, folder: Path) -> None:
    main = upload(api, folder).oid
    (folder / "new.txt").write_text("new")
    request = upload(api, folder, create_pr=True)
    assert request.pr_revision == "refs/pr/1"
    api.create_branch(REPO, branch="next")
    api.create_branch(REPO, branch="next", exist_ok=True)
    assert "new.txt" in api.list_repo_files(REPO, revision="refs/pr/1")
    assert "new.txt" not in api.list_repo_files(REPO, revision="next")
    assert hub.repository(REPO).commit_at("main").sha == main
    with pytest.raises(RevisionNotFoundError):
        upload(api, folder, revision="nowhere")


def test_a_commit_that_is_refused_changes_nothing(hub: FakeHub, api: HfApi, folder: Path) -> None:
    main = upload(api, folder).oid
    with pytest.raises(EntryNotFoundError):
        api.create_commit(
            REPO, [CommitOperationAdd("a.txt", b"a"), CommitOperationDelete("none.txt")], commit_message="m"
        )
    lost = CommitOperationAdd("b.bin", b"\0b")
    api.preupload_lfs_files(REPO, [lost], free_memory=False)
    hub.storage.clear()
    with pytest.raises(BadRequestError, match="does not exist"):
        api.create_commit(REPO, [CommitOperationAdd("a.txt", b"a"), lost], commit_message="m", create_pr=True)
    with pytest.raises(HfHubHTTPError, match="A commit has happened"):
        api.create_commit(
            REPO, [CommitOperationAdd("a.txt", b"a")], commit_message="m", parent_commit="0" * 40
        )
    with pytest.raises(ValueError, match="metadata"):
        api.create_commit(REPO, [CommitOperationAdd("README.md", b"---\na: [\n---\n")], commit_message="m")
    assert hub.repository(REPO).refs == {"main": main}


def test_who_may_do_what(hub: FakeHub, api: HfApi, folder: Path) -> None:
    anyone = HfApi(token=False)
    with pytest.raises(HfHubHTTPError, match="401"):
        anyone.create_repo(REPO)
    with pytest.raises(HfHubHTTPError, match="403"):
        api.create_repo("other/thing")
    api.create_repo(REPO, private=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo(REPO)
    upload(api, folder)
    assert api.whoami()["name"] == USER and api.model_info(REPO).private
    with pytest.raises(RepositoryNotFoundError):
        anyone.model_info(REPO)
    assert api.hf_hub_download(REPO, "model.safetensors")
    assert all(
        not entry.authorized for entry in hub.log if entry.target.count("/") == 1
    )  # the storage host sees no token
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(REPO, "none.json")


@pytest.mark.parametrize("fault", ["drop", "lost", "500", "429"])
def test_faults_strike_as_often_as_they_were_told(
    hub: FakeHub, api: HfApi, folder: Path, fault: Fault
) -> None:
    hub.fail("PUT", ".", fault, times=2)
    upload(api, folder)  # the client tries again
    status = {"drop": None, "lost": None, "500": 500, "429": 429}[fault]
    assert [entry.status for entry in hub.log if entry.method == "PUT"] == [status, status, 200]
    assert hub.files(REPO)["model.safetensors"] == WEIGHTS
