"""One commit to a Hub repository: all of it or nothing."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi

from ..errors import EmoNetError


@contextmanager
def asking(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Within, a Hub that refuses, or can't be reached, is an EmoNetError that names the
    repository.

    Raises:
        EmoNetError: also for a revision that is no name of a branch.
    """
    if revision is not None and (
        not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", revision, re.ASCII) or ".." in revision or revision == "."
    ):
        raise EmoNetError(
            f"revision {revision!r} is no name of a branch: take letters, digits, '-', '_', '.' and '/'."
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
    """Commit `files` (path in the repository → file or content) and deletions together.

    `upload_folder` would split many files over several commits when the connection is
    bad, so a reader could find half of each.

    Raises:
        EmoNetError: where the upload or the commit does not get through; the branch is
            then as it was, or complete.
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
    except (
        Exception
    ) as error:  # the client's HTTP library has errors of its own, and uploads end in a RuntimeError
        raise EmoNetError(
            f"{repo_id}: the push did not get through ({type(error).__name__}: {error}). The repository is as it was, or "
            "complete if only the answer was lost; push again."
        ) from error
