"""`emonet knowledge`: report the concept sources of `ket` and their coverage."""

import argparse

from .arguments import Commands, add_knowledge_arguments


def add_commands(commands: Commands) -> None:
    """Add `knowledge`."""
    knowledge = commands.add_parser(
        "knowledge", help="print the concept sources of `ket` and how much of a corpus they cover"
    )
    knowledge.add_argument("--dataset", required=True, help="as in `emonet train`")
    knowledge.add_argument("--data-dir")
    add_knowledge_arguments(knowledge)
    knowledge.set_defaults(run=_knowledge)


def _knowledge(arguments: argparse.Namespace) -> None:
    from ..data import load_conversations
    from ..knowledge.table import build_concepts, coverage

    corpus = load_conversations(arguments.dataset, arguments.data_dir, history_scope="none")
    texts = {split: [turn["text"] for row in corpus[split] for turn in row["turns"]] for split in corpus}
    table = build_concepts(texts["train"], arguments.concepts, arguments.affect)
    if table is None:
        raise ValueError(f"{arguments.concepts} has no concept for any word of {arguments.dataset}.")
    for source in table.sources:
        print(", ".join(f"{key} {value}" for key, value in source.items()))
    print(
        f"{len(table.concepts):,} concepts for {len(table.words):,} words "
        f"of the training turns of {corpus.dataset_version}"
    )
    for split in texts:
        shares = coverage(table, texts[split])
        covered = [f"{100 * share:.1f} % of {unit.replace('_', ' ')}" for unit, share in shares.items()]
        print(f"{split:11s}{', '.join(covered)}")
