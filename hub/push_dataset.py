"""Push a corpus to the Hub: both views as Parquet, the speakers and a card."""

import tempfile
from pathlib import Path
from string import Template
from typing import Any

from huggingface_hub import CommitInfo, DatasetCardData, HfApi

from ..data import Conversations, load_conversations
from ..data.loading import CORPORA, VIEWS
from ..errors import EmoNetError
from .commit import asking, commit_files

# Corpora that anyone may publish, by builder; the sample corpus is in the public domain.
LICENCES = {"emorynlp-full": "apache-2.0", "emorynlp-aligned": "apache-2.0", "sample": "cc0-1.0"}


def push_dataset(
    dataset: str | Path,
    repo_id: str,
    *,
    data_dir: str | Path | None = None,
    private: bool | None = None,
    revision: str | None = None,
    licence: str | None = None,
) -> CommitInfo:
    """Publish a corpus in one commit.

    `load_dataset(repo_id, view)` reads it, with the view `dialogues` or `utterances`.

    Args:
        dataset: A known corpus, or a file or folder of your own, as in
            `load_conversations`.
        repo_id: The repository; it is created if it does not exist.
        data_dir: The folder of a known corpus.
        private: Whether a new repository is private.
        revision: Branch to commit to; it is created if it does not exist.
        licence: Hub id of the licence of your own data (`cc-by-4.0`); known corpora have
            their own.

    Returns:
        The commit (as a string, its address).

    Raises:
        EmoNetError: If the corpus's licence does not allow it, or the commit fails.
    """
    corpus = _corpus_name(str(dataset))
    if corpus in LICENCES:
        licence = LICENCES[corpus]
    elif corpus is not None:
        allowed = ", ".join(LICENCES)
        raise EmoNetError(
            f"{dataset}: its licence has terms of its own, so emonet does not publish it anew; {allowed} and "
            "your own files can be pushed."
        )
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(dataset, Path(folder), repo_id, data_dir=data_dir, licence=licence)
        api = HfApi()
        with asking(repo_id, revision):
            repo_id = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True).repo_id
            if revision:
                api.create_branch(repo_id, repo_type="dataset", branch=revision, exist_ok=True)
            there = api.list_repo_files(repo_id, repo_type="dataset", revision=revision)
        files: dict[str, Path | bytes] = {
            str(path.relative_to(folder)): path for path in sorted(Path(folder).rglob("*")) if path.is_file()
        }
        stale = [name for name in there if name.endswith(".parquet") and name not in files]
        message = f"emonet: {Path(dataset).name}"
        return commit_files(
            api, repo_id, files, message, delete=stale, repo_type="dataset", revision=revision
        )


def write_dataset(
    dataset: str | Path,
    folder: Path,
    repo_id: str,
    *,
    data_dir: str | Path | None = None,
    licence: str | None = None,
) -> None:
    """Write the repository's files into `folder`."""
    for view in VIEWS:
        conversations = load_conversations(dataset, data_dir, view=view)
        (folder / view).mkdir(parents=True)
        for split, rows in conversations.items():
            rows.to_parquet(folder / view / f"{split}-00000-of-00001.parquet")
    conversations.speakers.save(folder)
    (folder / "README.md").write_text(dataset_card(conversations, repo_id, licence), "utf-8")


def dataset_card(conversations: Conversations, repo_id: str, licence: str | None = None) -> str:
    """Return the card of a corpus, given in the `utterances` view."""
    configs: list[dict[str, Any]] = []
    for view in VIEWS:
        files = [{"split": split, "path": f"{view}/{split}-*.parquet"} for split in conversations]
        configs.append(
            {"config_name": view, "data_files": files, **({"default": True} if view == VIEWS[0] else {})}
        )
    metadata = DatasetCardData(
        license=licence,
        language="en" if licence in LICENCES.values() else None,
        task_categories=["text-classification"],
        tags=["emotion-recognition-in-conversation", "dialogue", "emonet"],
        pretty_name=conversations.dataset_version,
        configs=configs,
    )
    rows = []
    for split, turns in conversations.items():
        counts = [
            sum(1 for emotion in turns["emotion"] if emotion == index)
            for index in range(len(conversations.labels))
        ]
        dialogues = len(set(turns["dialogue_id"]))
        rows.append(
            f"| {split} | {dialogues:,} | {len(turns):,} | "
            + " | ".join(f"{count:,}" for count in counts)
            + " |"
        )
    info = next(iter(conversations.values())).info
    return Template(Path(__file__).with_name("dataset_card_template.md").read_text("utf-8")).substitute(
        metadata=metadata.to_yaml(),
        version=conversations.dataset_version,
        repo_id=repo_id,
        description=info.description or "Conversations with an emotion a turn.",
        origin=f"Origin: <{info.homepage}>." if info.homepage else "",
        licence=licence or "not stated; ask its owner before you use it",
        speakers=len(conversations.speakers) - 1,  # without the unknown one
        header=" | ".join(conversations.labels),
        rule="|---:" * len(conversations.labels),
        rows="\n".join(rows),
    )


def _corpus_name(dataset: str) -> str | None:
    """Return the known corpus of a name, or None for the user's own files."""
    if dataset == "sample":
        return dataset
    if dataset in CORPORA:
        return CORPORA[dataset][0].corpus
    return None
