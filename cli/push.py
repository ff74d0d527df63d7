"""`emonet push`, `push-dataset` and `push-space`: publish on the Hub."""

import argparse
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from ..errors import EmoNetError
from ..pretrained.models import MODELS
from .arguments import Commands


def add_commands(commands: Commands) -> None:
    """Add `push`, `push-dataset` and `push-space`."""
    push = commands.add_parser("push", help="publish a run as a Hub repository")
    push.add_argument("--model", required=True, help=f"run folder or built-in model ({', '.join(MODELS)})")
    _repository_arguments(push)
    push.add_argument("--create-pr", action="store_true", help="open a pull request instead of committing")
    push.set_defaults(run=_push)

    dataset = commands.add_parser("push-dataset", help="publish a built corpus as a Hub dataset")
    dataset.add_argument("--dataset", required=True, help="emorynlp, sample, or your own file or folder")
    dataset.add_argument("--data-dir", help="folder with the corpus's files (default: $EMONET_DATA)")
    dataset.add_argument("--licence", help="licence of your own data, as its Hub id (cc-by-4.0)")
    _repository_arguments(dataset)
    dataset.set_defaults(run=_push_dataset)

    space = commands.add_parser("push-space", help="publish the demo page of a model as a Space")
    space.add_argument(
        "--model",
        required=True,
        help=f"run folder or built-in model ({', '.join(MODELS)}), published with the Space; or Hub id",
    )
    target = space.add_mutually_exclusive_group(required=True)
    target.add_argument("--repo-id", help="user/name; log in with `hf auth login` or set HF_TOKEN")
    target.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="write the files to FOLDER instead; `python app.py` serves them",
    )
    space.add_argument("--private", action="store_true", default=None, help="make a new Space private")
    space.set_defaults(run=_push_space)


def _repository_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repo-id", required=True, help="user/name; log in with `hf auth login` or set HF_TOKEN"
    )
    parser.add_argument("--private", action="store_true", default=None, help="make a new repository private")
    parser.add_argument("--revision", help="branch to commit to (default: main)")


def _push(arguments: argparse.Namespace) -> None:
    from ..hub.built_in import publishable
    from ..hub.push import push_run

    with publishable(arguments.model) as folder:
        commit = push_run(
            folder,
            arguments.repo_id,
            private=arguments.private,
            revision=arguments.revision,
            create_pr=arguments.create_pr,
        )
    print(commit.pr_url or commit)


def _push_dataset(arguments: argparse.Namespace) -> None:
    from ..hub.push_dataset import push_dataset

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


def _push_space(arguments: argparse.Namespace) -> None:
    try:
        from ..hub.built_in import publishable
        from ..hub.push_space import push_space, write_space

        with publishable(arguments.model) as model:
            if arguments.output:
                print(write_space(model, arguments.output))
            else:
                print(push_space(model, arguments.repo_id, private=arguments.private))
    except PackageNotFoundError as error:
        raise EmoNetError(
            f"A Space pins the version of {error.name}, which is not installed: pip install 'emonet[demo]'."
        ) from error
