"""The `emonet` commands that talk to the Hub."""

import argparse
from pathlib import Path


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `push` and `push-dataset`."""
    push = commands.add_parser("push", help="publish a run as a Hub repository")
    push.add_argument("--model", required=True, type=Path, help="run folder")
    _repository_arguments(push)
    push.add_argument("--create-pr", action="store_true", help="open a pull request instead of committing")
    push.set_defaults(run=_push)

    dataset = commands.add_parser("push-dataset", help="publish a built corpus as a Hub dataset")
    dataset.add_argument("--dataset", required=True, help="emorynlp, sample, or a file or folder of your own")
    dataset.add_argument("--data-dir", help="folder with the corpus's files (default: $EMONET_DATA)")
    dataset.add_argument("--licence", help="licence of your own data, by its Hub id (cc-by-4.0)")
    _repository_arguments(dataset)
    dataset.set_defaults(run=_push_dataset)


def _repository_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repo-id", required=True, help="user/name; log in with `hf auth login` or set HF_TOKEN")
    parser.add_argument("--private", action="store_true", default=None, help="if the repository is new")
    parser.add_argument("--revision", help="branch to commit to (default: main)")


def _push(arguments: argparse.Namespace) -> None:
    from .push import push_run

    commit = push_run(
        arguments.model,
        arguments.repo_id,
        private=arguments.private,
        revision=arguments.revision,
        create_pr=arguments.create_pr,
    )
    print(commit.pr_url or commit)


def _push_dataset(arguments: argparse.Namespace) -> None:
    from .push_dataset import push_dataset

    print(
        push_dataset(
            arguments.dataset,
            arguments.repo_id,
            data_dir=arguments.data_dir,
            private=arguments.private,
            revision=arguments.revision,
            licence=arguments.licence,
        )
    )
