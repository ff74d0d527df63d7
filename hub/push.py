"""Push a run folder to the Hub in one commit."""

from fnmatch import fnmatchcase
from pathlib import Path
from shutil import copy

from huggingface_hub import CommitInfo, HfApi
from huggingface_hub.errors import EntryNotFoundError

from ..checkpoint.adapters import ADAPTER_FILE, ADAPTER_WEIGHTS
from ..checkpoint.export import missing_code
from ..errors import EmoNetError, loading
from ..files.disk import file_in
from ..files.guard import read_json, refuse_outside_links
from ..knowledge.concepts import CONCEPTS_FILE, ConceptTable
from ..prompted.demonstrations import BANK_FILE
from ..prompted.processing import BIOGRAPHIES_FILE
from .card import CARD, card_text, merge_card
from .commit import asking, commit_files
from .example import EXAMPLE_FILE
from .export import write_companions

WEIGHTS = "model.safetensors"
NEEDED = (
    "config.json",
    WEIGHTS,
    "tokenizer.json",
    "speakers.json",
    "pipeline_emonet.py",
)
# The files of a repository. Predictions are not published: they quote the corpus, whose
# licence may not allow it.
PUBLISHED = (
    "*.py",
    "*.safetensors",
    "*.safetensors.index.json",
    "biographies.json",
    "chat_template.jinja",
    "concepts.json",
    "config.json",
    "digests.json",
    "emonet_adapter.json",
    EXAMPLE_FILE,
    "confusion_matrix.png",
    "learning_curves.png",
    "merges.txt",
    "metrics.json",
    "processor_config.json",
    "requirements.txt",
    "run.json",
    "speakers.json",
    "special_tokens_map.json",
    "test_metrics.json",
    "tokenizer*",
    "vocab*",
)


def push_run(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    commit_message: str | None = None,
    token: str | None = None,
) -> CommitInfo:
    """Publish a run folder (or any folder that `save_pretrained` wrote) as `repo_id`.

    All files go in one commit, so a reader finds the old repository or the new one, never
    half of each. Code and weights that the new version no longer has are removed. A card
    edited on the Hub, or else in the folder, keeps its edits.

    Args:
        folder: The folder.
        repo_id: The repository; it is created if it does not exist.
        private: Whether a new repository is private.
        revision: Branch to commit to; it is created if it does not exist.
        create_pr: Open a pull request instead.
        commit_message: The commit message.
        token: Used instead of the login or HF_TOKEN; it is not stored.

    Returns:
        The commit (as a string, its address; `pr_url` if it is a pull request).

    Raises:
        EmoNetError: If the folder would not load, or the commit fails; the repository is
            then unchanged.
    """
    folder = Path(folder)
    check_complete(folder)
    write_companions(folder)
    api = HfApi(token=token)
    files: dict[str, Path | bytes] = dict(published_files(folder))
    with asking(repo_id, revision):
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if revision and not create_pr:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        there = api.list_repo_files(repo_id, revision=revision)
        files[CARD] = _card(api, repo_id, revision, folder).encode()
    stale = [name for name in there if name not in files and _changes_loading(name)]
    message = commit_message or f"emonet: {folder.resolve().name}"
    return commit_files(api, repo_id, files, message, delete=stale, revision=revision, create_pr=create_pr)


def published_files(folder: Path) -> dict[str, Path]:
    """Return the files of a run folder to publish, the card excepted."""
    return {
        path.name: path for pattern in PUBLISHED for path in sorted(folder.glob(pattern)) if path.is_file()
    }


def copy_published(checkpoint_folder: str | Path, folder: str | Path) -> None:
    """Copy the files of a checkpoint that are published, and its card, to a folder."""
    for path in (*published_files(Path(checkpoint_folder)).values(), Path(checkpoint_folder, CARD)):
        if path.is_file():
            copy(path, folder)


def _changes_loading(name: str) -> bool:
    """Return whether a file changes what is loaded: code, weights or adapters.

    Left over from an earlier version, it must be deleted.
    """
    return (
        name.endswith(".py")
        or name in (ADAPTER_FILE, ADAPTER_WEIGHTS)
        or fnmatchcase(name, "model*.safetensors*")
    )


def check_complete(folder: Path) -> None:
    """Refuse a folder that is incomplete, or that holds what may not be published.

    A file behind a link out of the folder is refused too: nobody means to publish it.

    Raises:
        EmoNetError: With what is missing or may not be published.
    """
    if not folder.is_dir():
        raise EmoNetError(f"{folder}: no such folder; give the run folder that `emonet train` wrote.")
    refuse_outside_links(folder, cached=True)
    weights = ADAPTER_WEIGHTS if (folder / ADAPTER_FILE).is_file() else WEIGHTS
    needed = [weights if name == WEIGHTS else name for name in NEEDED]
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    needed += sorted({f"{name.partition('.')[0]}.py" for name in config.get("auto_map", {}).values()})
    if config.get("prompts", {}).get("biography"):
        needed.append(BIOGRAPHIES_FILE)
    missing = [name for name in needed if not (folder / name).is_file()]
    missing += [name for name in missing_code(folder) if name not in missing]
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        with loading(index, "index of shards"):
            shards = set(read_json(index)["weight_map"].values())
        for name in shards:
            file_in(folder, name)
        missing = [
            name for name in [*missing, *sorted(shards)] if name != WEIGHTS and not (folder / name).is_file()
        ]
    if missing:
        raise EmoNetError(
            f"{folder} lacks {', '.join(missing)}: save it with model.save_pretrained(folder), the processor "
            "attached (model.processor = processor)."
        )
    if (folder / BANK_FILE).is_file():
        raise EmoNetError(
            f"{folder} holds the labelled turns of its training corpus, which its prompts show, and a push "
            "would publish them: train without (--demonstrations 0), or give the folder to those who may "
            "have the corpus."
        )
    if (folder / CONCEPTS_FILE).is_file():
        for source in ConceptTable.read(folder / CONCEPTS_FILE).sources:
            if not source.get("shareable"):
                what = source.get("lexicon") or source.get("graph")
                raise EmoNetError(
                    f"{folder} holds parts of {what}, whose licence ({source.get('licence')}) does not allow "
                    "to publish them: train with other knowledge (--concepts, --affect)."
                )


def _card(api: HfApi, repo_id: str, revision: str | None, folder: Path) -> str:
    """Return the card to publish: the Hub's, else the folder's, with updated parts."""
    generated = card_text(folder, repo_id)
    try:
        path = api.hf_hub_download(repo_id, CARD, revision=revision, force_download=True)
    except EntryNotFoundError:
        return merge_card((folder / CARD).read_text("utf-8"), generated)
    return merge_card(Path(path).read_text("utf-8"), generated)
