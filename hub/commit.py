"""One commit to a Hub repository: all of it or nothing."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi

from ..errors import EmoNetError


def commit_files(
    api: HfApi,
    repo_id: str,
    files: Mapping[str, Path | bytes],
    message: str,
    *,
    delete: Iterable[str] = (),
    repo_type: str = "model",
    revision: str | None = None,
    create_pr: bool = False,
) -> CommitInfo:
    """Commit `files` (path in the repository → file or content) and deletions together.

    `upload_folder` would split many files over several commits when the connection is bad, so a reader could find half of each.

    Raises:
        EmoNetError: where the upload or the commit does not get through; the branch is then as it was, or complete.
    """
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(path, content if isinstance(content, bytes) else str(content)) for path, content in files.items()
    ]
    operations += [CommitOperationDelete(path) for path in delete]
    try:
        return api.create_commit(
            repo_id, operations, commit_message=message, repo_type=repo_type, revision=revision, create_pr=create_pr
        )
    except ValueError:
        raise  # a wrong name or file
    except Exception as error:  # the client's HTTP library has errors of its own, and uploads end in a RuntimeError
        raise EmoNetError(
            f"{repo_id}: the push did not get through ({type(error).__name__}: {error}). The repository is as it was, or "
            "complete if only the answer was lost; push again."
        ) from error
