"""Commit files to a Hub repository: all of them or none."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi

from ..errors import EmoNetError


@contextmanager
def asking(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turn errors of the Hub into an EmoNetError that names the repository.

    Raises:
        EmoNetError: If the Hub refuses or cannot be reached, or `revision` is not a valid
            name of a branch.
    """
    if revision is not None and (
        not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", revision, re.ASCII) or ".." in revision or revision == "."
    ):
        raise EmoNetError(
            f"revision {revision!r} is not a valid branch name: use letters, digits, '-', '_', '.' and '/'."
        )
    try:
        yield
    except ValueError:
        raise  # a wrong name or file
    except Exception as error:  # the client's HTTP library has errors of its own
        raise EmoNetError(
            f"{repo_id}: the Hub could not be asked ({type(error).__name__}: {error})."
        ) from error


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
    """Commit files and deletions together.

    `upload_folder` would split many files over several commits when the connection is
    bad, and a reader could load a mixture of two versions.

    Args:
        api: The client.
        repo_id: The repository.
        files: For each path in the repository a file or its content.
        message: The commit message.
        delete: Paths to delete.
        repo_type: `model`, `dataset` or `space`.
        revision: The branch.
        create_pr: Open a pull request instead.

    Raises:
        EmoNetError: If the upload or the commit fails; the branch is then unchanged, or
            complete if only the answer was lost.
    """
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
        for path, content in files.items()
    ]
    operations += [CommitOperationDelete(path) for path in delete]
    try:
        return api.create_commit(
            repo_id,
            operations,
            commit_message=message,
            repo_type=repo_type,
            revision=revision,
            create_pr=create_pr,
        )
    except ValueError:
        raise  # a wrong name or file
    except Exception as error:  # the client's HTTP library has errors of its own
        raise EmoNetError(
            f"{repo_id}: the push did not get through ({type(error).__name__}: {error}). The repository is "
            "as it was, or complete if only the answer was lost; push again."
        ) from error
