"""The commands about persons: `emonet speakers`, and `emonet forget`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EmoNetError
from .arguments import integer

if TYPE_CHECKING:
    from ..speakers.store.queries import SpeakerStore


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add `speakers` with its own commands, and `forget`."""
    leave = commands.add_parser("forget", help="take a person out of a checkpoint, and say what can't be")
    leave.add_argument("name", help="as in speakers.json")
    leave.add_argument("--model", required=True, type=Path, help="run folder, which is changed")
    leave.add_argument("--dataset", help="training corpus, for a model whose prompts show demonstrations")
    leave.add_argument(
        "--data-dir", help="folder with the corpus's files (default: $EMONET_DATA, then the public home)"
    )
    leave.set_defaults(run=_forget_in_checkpoint)

    parser = commands.add_parser("speakers", help="the speaker store: what each person said and felt")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    build = _action(
        actions, "build", "put a corpus into the store, or go on with an interrupted build", _build
    )
    build.add_argument(
        "--dataset", required=True, help="emorynlp, emorynlp-aligned, meld, sample, or a file or folder"
    )
    build.add_argument(
        "--data-dir", help="folder with the corpus's files (default: $EMONET_DATA, then the public home)"
    )
    build.add_argument(
        "--update", action="store_true", help="take a newer version of the corpus that is in the store"
    )
    _embedder(build)

    show = _action(actions, "show", "the speakers, or one of them", _show)
    show.add_argument("speaker", nargs="?")
    show.add_argument(
        "--limit", type=integer(1), default=10, help="how many speakers or utterances (default: 10)"
    )

    query = _action(actions, "query", "what a speaker said that is like a text", _query)
    query.add_argument("speaker")
    query.add_argument("text")
    query.add_argument("--limit", type=integer(1), default=5)
    _view(query)
    _embedder(query)

    biography = _action(
        actions, "biography", "write a speaker's biography, or show the one that is kept", _biography
    )
    biography.add_argument("speaker")
    biography.add_argument(
        "--writer", default="extractive", help="extractive (no model), smollm2, a Hub id or a folder"
    )
    biography.add_argument(
        "--budget", type=integer(1), default=80, help="most words (extractive) or tokens (default: 80)"
    )
    biography.add_argument("--anonymous", action="store_true", help="numbers in place of names")
    _view(biography)

    forget = _action(actions, "forget", "take a speaker out of the store, files included", _forget)
    forget.add_argument("speaker")

    for name, help_text, run in (
        ("export", "write the store as Parquet files", _export),
        ("import", "make a store of exported files", _import),
    ):
        _action(actions, name, help_text, run).add_argument("folder", type=Path)


def _action(
    actions: argparse._SubParsersAction, name: str, help_text: str, run: object
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=help_text)
    parser.add_argument(
        "--store", required=True, help="folder, or an object store's address (s3://bucket/speakers)"
    )
    parser.set_defaults(run=run)
    return parser


def _view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", help="see only what a turn of this split may see (train and its own)")
    parser.add_argument(
        "--before",
        type=integer(0, 2**63 - 1),
        help="see only what is earlier than this place in time (utterance_index)",
    )


def _embedder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--embedder", default="minilm", help="sentence encoder: minilm, a Hub id or a folder")


def _build(arguments: argparse.Namespace) -> None:
    from ..data import load_conversations
    from ..inference.embedding import UtteranceEmbedder
    from ..speakers.store.build import build_store

    conversations = load_conversations(arguments.dataset, arguments.data_dir, history_scope="none")
    embedder = UtteranceEmbedder(arguments.embedder)
    store = build_store(
        arguments.store, conversations, embedder, update=arguments.update, progress=sys.stderr.isatty()
    )
    speakers = store.speakers()
    persons = sum(row["is_person"] for row in speakers)
    utterances = sum(row["utterances"] for row in speakers)
    print(
        f"{arguments.store}: {store.dataset_version}, {utterances:,} utterances, {persons:,} persons, vectors by {embedder.name}"
    )


def _show(arguments: argparse.Namespace) -> None:
    from ..speakers.store.queries import SpeakerStore

    store = SpeakerStore(arguments.store)
    if arguments.speaker is None:
        print(
            f"{store.dataset_version}, vectors by {store.facts['embedder']}, {len(store.facts['forgotten'])} forgotten"
        )
        for row in [row for row in store.speakers() if row["is_person"]][: arguments.limit]:
            print(
                f"{row['name']:20s} {row['utterances']:6,} utterances, {row['dialogues']:4,} dialogues  {_emotions(store, row)}"
            )
        return
    found = [row for row in store.speakers() if row["speaker"] == arguments.speaker]
    if not found:
        raise EmoNetError(
            f"{arguments.store}: no speaker {arguments.speaker!r}; `emonet speakers show` lists them."
        )
    row = found[0]
    print(f"{row['name']}: {row['utterances']:,} utterances in {row['dialogues']:,} dialogues")
    print(f"training labels: {_emotions(store, row)}")
    for biography in store.biographies(row["speaker"]):
        print(
            f"biography ({biography.kind}, {biography.model}, from {len(biography.utterances)} utterances): {biography.text}"
        )
    for each in store.utterances(row["speaker"], limit=arguments.limit):
        print(f"{each.key:24s} {each.text}")


def _query(arguments: argparse.Namespace) -> None:
    from ..inference.embedding import UtteranceEmbedder
    from ..speakers.store.queries import SpeakerStore, View

    store = SpeakerStore(arguments.store, UtteranceEmbedder(arguments.embedder))
    view = View(arguments.split, arguments.before)
    for each in store.similar(arguments.speaker, arguments.text, arguments.limit, view):
        print(f"{each.similarity:.3f}  {each.key:24s} {each.emotion or '-':10s} {each.text}")


def _biography(arguments: argparse.Namespace) -> None:
    from ..speakers.store.queries import SpeakerStore, View

    store, view = SpeakerStore(arguments.store), View(arguments.split, arguments.before)
    write: Any
    if arguments.writer == "extractive":
        from ..speakers.biographies.extractive import ExtractiveBiographer

        write = ExtractiveBiographer(store, arguments.budget, anonymous=arguments.anonymous)
    else:
        from ..speakers.biographies.written import LlmBiographer

        write = LlmBiographer(store, arguments.writer, arguments.budget, anonymous=arguments.anonymous)
    written = write(arguments.speaker, view)
    if not written.text:
        raise EmoNetError(
            f"{arguments.store}: {arguments.speaker!r} has said nothing that may be seen; see `emonet speakers show`."
        )
    print(written.text)
    print(
        f"({written.kind}, {written.model}, prompt {written.prompt_digest}, from {len(written.utterances)} utterances)"
    )


def _forget(arguments: argparse.Namespace) -> None:
    from ..speakers.store.forget import forget_speaker

    gone = forget_speaker(arguments.store, arguments.speaker)
    files = "" if gone.files is None else f", {gone.files} files removed"
    print(
        f"{arguments.speaker}: {gone.utterances} utterances and {gone.biographies} biographies forgotten{files}"
    )
    if gone.mentions:
        print(f"{gone.mentions} utterances of others hold the name; they are what others said, and stay.")


def _forget_in_checkpoint(arguments: argparse.Namespace) -> None:
    from ..runs.forget import forget_in_checkpoint, training_turns

    turns = (
        training_turns(arguments.dataset, arguments.data_dir, arguments.name) if arguments.dataset else None
    )
    print(forget_in_checkpoint(arguments.model, arguments.name, turns))


def _export(arguments: argparse.Namespace) -> None:
    from ..speakers.store.parquet import export_store

    print(export_store(arguments.store, arguments.folder))


def _import(arguments: argparse.Namespace) -> None:
    from ..speakers.store.parquet import import_store

    print(import_store(arguments.folder, arguments.store).tables.uri)


def _emotions(store: "SpeakerStore", row: dict) -> str:
    counts = sorted(zip(store.labels, row["emotions"], strict=True), key=lambda pair: -pair[1])
    return ", ".join(f"{label} {count}" for label, count in counts if count) or "none"
