"""`emonet knowledge`."""

import argparse
from typing import Any


def add_commands(commands: Any) -> None:
    knowledge = commands.add_parser(
        "knowledge", help="where the concepts of `ket` come from, and how much of a corpus they reach"
    )
    knowledge.add_argument("--dataset", required=True, help="as in `emonet train`")
    knowledge.add_argument("--data-dir")
    add_source_arguments(knowledge)
    knowledge.set_defaults(run=_knowledge)


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """The concept graph and the affect lexicon."""
    parser.add_argument(
        "--concepts",
        default="wordnet",
        help="graph for `ket`: wordnet, its folder, ConceptNet's CSV file, or none",
    )
    parser.add_argument("--affect", default="vader", help="lexicon for `ket`: vader, or a file of NRC-VAD")


def _knowledge(arguments: argparse.Namespace) -> None:
    from ..data import load_conversations
    from ..knowledge.table import build_concepts, coverage

    corpus = load_conversations(arguments.dataset, arguments.data_dir, history_scope="none")
    texts = {split: [turn["text"] for row in corpus[split] for turn in row["turns"]] for split in corpus}
    table = build_concepts(texts["train"], arguments.concepts, arguments.affect)
    if table is None:
        raise ValueError(f"{arguments.concepts} has no concept beside a word of {arguments.dataset}.")
    for source in table.sources:
        print(", ".join(f"{key} {value}" for key, value in source.items()))
    print(
        f"{len(table.concepts):,} concepts beside {len(table.words):,} words of the training turns of {corpus.dataset_version}"
    )
    for split in texts:
        shares = coverage(table, texts[split])
        print(
            f"{split:11s}"
            + ", ".join(f"{100 * share:.1f} % of {what.replace('_', ' ')}" for what, share in shares.items())
        )
