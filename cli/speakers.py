"""`emonet speakers`: build, search, show, export and clean a speaker store."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dialogue.names import KnownNames, clean_name
from ..errors import EmoNetError
from .arguments import Commands, add_corpus_arguments, integer

if TYPE_CHECKING:
    from ..speakers.biographies.choose import Biographer
    from ..speakers.store.queries import SpeakerStore


def add_commands(commands: Commands) -> None:
    """Add `speakers` with its actions."""
    parser = commands.add_parser("speakers", help="manage a speaker store: what each person said and felt")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    build = _action(actions, "build", "add a corpus to the store, or continue an interrupted build", _build)
    add_corpus_arguments(build)
    build.add_argument(
        "--update", action="store_true", help="replace the stored corpus with a newer version of it"
    )
    _embedder(build)

    show = _action(actions, "show", "list the speakers, or show one of them", _show)
    show.add_argument("speaker", nargs="?")
    show.add_argument(
        "--limit", type=integer(1), default=10, help="maximum number of speakers or utterances (default: 10)"
    )

    query = _action(actions, "query", "find what a speaker said that is similar to a text", _query)
    query.add_argument("speaker")
    query.add_argument("text")
    query.add_argument("--limit", type=integer(1), default=5)
    _view(query)
    _embedder(query)

    biography = _action(
        actions, "biography", "write a speaker's biography, or show the stored one", _biography
    )
    biography.add_argument("speaker")
    biography.add_argument(
        "--writer", default="extractive", help="extractive (no model), smollm2, a Hub id or a folder"
    )
    biography.add_argument(
        "--budget", type=integer(1), default=80, help="maximum words (extractive) or tokens (default: 80)"
    )
    biography.add_argument("--anonymous", action="store_true", help="numbers instead of names")
    _view(biography)

    forget = _action(actions, "forget", "remove a speaker from the store and its files", _forget)
    forget.add_argument("speaker")

    for name, help_text, run in (
        ("export", "write the store as Parquet files", _export),
        ("import", "make a store from exported files", _import),
    ):
        _action(actions, name, help_text, run).add_argument("folder", type=Path)


def _action(
    actions: Commands, name: str, help_text: str, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=help_text)
    parser.add_argument(
        "--store", required=True, help="folder, or an object store's address (s3://bucket/speakers)"
    )
    parser.set_defaults(run=run)
    return parser


def _view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", help="use only what a turn of this split may see (train and its own)")
    parser.add_argument(
        "--before",
        type=integer(0, 2**63 - 1),
        help="use only utterances before this utterance_index",
    )


def _embedder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--embedder", default="minilm", help="sentence encoder: minilm, a Hub id or a folder")


def _build(arguments: argparse.Namespace) -> None:
    from ..data import load_conversations
    from ..inference.embedding import UtteranceEmbedder
    from ..speakers.store.build import build_store

    conversations = load_conversations(
        arguments.dataset,
        arguments.data_dir,
        history_scope="none",
        interleaved=arguments.interleaved,
        columns=arguments.columns,
    )
    embedder = UtteranceEmbedder(arguments.embedder)
    store = build_store(
        arguments.store, conversations, embedder, update=arguments.update, progress=sys.stderr.isatty()
    )
    speakers = store.speakers()
    persons = sum(row["is_person"] for row in speakers)
    utterances = sum(row["utterances"] for row in speakers)
    print(
        f"{arguments.store}: {store.dataset_version}, {utterances:,} utterances, {persons:,} persons, "
        f"vectors by {embedder.name}"
    )


def _show(arguments: argparse.Namespace) -> None:
    from ..speakers.store.queries import SpeakerStore

    store = SpeakerStore(arguments.store)
    if arguments.speaker is None:
        facts = store.facts
        print(f"{store.dataset_version}, vectors by {facts['embedder']}, {len(facts['forgotten'])} forgotten")
        for row in [row for row in store.speakers() if row["is_person"]][: arguments.limit]:
            counts = f"{row['utterances']:6,} utterances, {row['dialogues']:4,} dialogues"
            print(f"{row['name']:20s} {counts}  {_emotions(store, row)}")
        return
    speaker = _known_as(store, arguments.speaker)
    found = [row for row in store.speakers() if row["speaker"] == speaker]
    if not found:
        raise EmoNetError(
            f"{arguments.store}: no speaker {arguments.speaker!r}; `emonet speakers show` lists them."
        )
    row = found[0]
    print(f"{row['name']}: {row['utterances']:,} utterances in {row['dialogues']:,} dialogues")
    print(f"training labels: {_emotions(store, row)}")
    for biography in store.biographies(row["speaker"]):
        source = f"{biography.kind}, {biography.model}, from {len(biography.utterances)} utterances"
        print(f"biography ({source}): {biography.text}")
    for utterance in store.utterances(row["speaker"], limit=arguments.limit):
        print(f"{utterance.key:24s} {utterance.text}")


def _query(arguments: argparse.Namespace) -> None:
    from ..inference.embedding import UtteranceEmbedder
    from ..speakers.store.queries import SpeakerStore, View

    store = SpeakerStore(arguments.store, UtteranceEmbedder(arguments.embedder))
    view = View(arguments.split, arguments.before)
    for found in store.similar(_known_as(store, arguments.speaker), arguments.text, arguments.limit, view):
        print(f"{found.similarity:.3f}  {found.key:24s} {found.emotion or '-':10s} {found.text}")


def _biography(arguments: argparse.Namespace) -> None:
    from ..speakers.store.queries import SpeakerStore, View

    store, view = SpeakerStore(arguments.store), View(arguments.split, arguments.before)
    write: Biographer
    if arguments.writer == "extractive":
        from ..speakers.biographies.extractive import ExtractiveBiographer

        write = ExtractiveBiographer(store, arguments.budget, anonymous=arguments.anonymous)
    else:
        from ..speakers.biographies.written import LlmBiographer

        write = LlmBiographer(store, arguments.writer, arguments.budget, anonymous=arguments.anonymous)
    written = write(_known_as(store, arguments.speaker), view)
    if not written.text:
        raise EmoNetError(
            f"{arguments.store}: no visible utterance of {arguments.speaker!r}; "
            "see `emonet speakers show`, or widen --split and --before."
        )
    print(written.text)
    origin = f"{written.kind}, {written.model}, prompt {written.prompt_digest}"
    print(f"({origin}, from {len(written.utterances)} utterances)")


def _forget(arguments: argparse.Namespace) -> None:
    from ..speakers.store.forget import forget_speaker

    forgotten = forget_speaker(arguments.store, clean_name(arguments.speaker))
    files = "" if forgotten.files is None else f", {forgotten.files} files removed"
    counts = f"{forgotten.utterances} utterances and {forgotten.biographies} biographies"
    print(f"{arguments.speaker}: {counts} forgotten{files}")
    if forgotten.mentions:
        print(f"{forgotten.mentions} utterances of others name the speaker; they are kept.")


def _known_as(store: "SpeakerStore", name: str) -> str:
    """Return the store's name of a speaker in any unambiguous spelling."""
    return KnownNames(row["speaker"] for row in store.speakers()).find(name) or clean_name(name)


def _export(arguments: argparse.Namespace) -> None:
    from ..speakers.store.parquet import export_store

    print(export_store(arguments.store, arguments.folder))


def _import(arguments: argparse.Namespace) -> None:
    from ..speakers.store.parquet import import_store

    print(import_store(arguments.folder, arguments.store).tables.uri)


def _emotions(store: "SpeakerStore", row: dict[str, Any]) -> str:
    counts = sorted(zip(store.labels, row["emotions"], strict=True), key=lambda pair: -pair[1])
    return ", ".join(f"{label} {count}" for label, count in counts if count) or "none"
