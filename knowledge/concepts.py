"""Map a turn's words to their neighbours in a knowledge graph, for checkpoints."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch

from ..files.guard import read_json

CONCEPTS_FILE = "concepts.json"
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def words_of(text: str) -> list[str]:
    """The lower-case words of a text; `don't` and `mother-in-law` are one word each."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


@dataclass(frozen=True)
class ConceptTable:
    """Concepts, their emotional intensity, and the concepts next to each word.

    Attributes:
        concepts: Names by id.
        affect: Emotional intensity of each, 0 to 1.
        words: Word → its neighbours as (id, confidence from 0 to 1), the most confident
            first.
        sources: Name, version and licence of the graph and the lexicon.
        per_turn: How many concepts a turn may have; the most confident are kept.
    """

    file_name: ClassVar[str] = CONCEPTS_FILE

    concepts: list[str]
    affect: list[float]
    words: Mapping[str, Sequence[tuple[int, float]]]
    sources: list[dict[str, Any]] = field(default_factory=list)
    per_turn: int = 48

    def of(self, text: str) -> tuple[list[int], list[float]]:
        """Return ids and confidences of a turn's concepts.

        A concept that several words share appears once, with its highest confidence.
        """
        found: dict[int, float] = {}
        for word in words_of(text):
            for concept, confidence in self.words.get(word, ()):
                found[concept] = max(confidence, found.get(concept, 0.0))
        kept = sorted(found, key=lambda concept: (-found[concept], concept))[: self.per_turn]
        return kept, [found[concept] for concept in kept]

    def collate(
        self, dialogues: Sequence[Sequence[tuple[list[int], list[float]]]], turns: int
    ) -> dict[str, torch.Tensor]:
        """See [`collate_concepts`]."""
        return collate_concepts(dialogues, turns)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `concepts.json` into `folder`."""
        document = {
            "version": 1,
            "sources": self.sources,
            "per_turn": self.per_turn,
            "concepts": self.concepts,
            "affect": self.affect,
            "words": self.words,
        }
        Path(folder, CONCEPTS_FILE).write_text(
            json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8"
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "ConceptTable":
        """Read the table of a `concepts.json`.

        Raises:
            ValueError: for a file that holds no table.
        """
        try:
            content = read_json(path)
            words = {word: [(int(i), float(w)) for i, w in rows] for word, rows in content["words"].items()}
            return cls(content["concepts"], content["affect"], words, content["sources"], content["per_turn"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not a table of concepts ({error!r}); copy it from the training run again."
            ) from error


def collate_concepts(
    dialogues: Sequence[Sequence[tuple[list[int], list[float]]]], turns: int
) -> dict[str, torch.Tensor]:
    """Pad each turn's ids and confidences to tensors.

    Args:
        dialogues: For each dialogue, the ids and confidences of each turn.
        turns: T, the turns to pad to.

    Returns:
        `concept_ids` (B, T, C), -1 for none, and `concept_confidences` (B, T, C).
    """
    width = max((len(ids) for dialogue in dialogues for ids, _ in dialogue), default=0) or 1
    concept_ids = torch.full((len(dialogues), turns, width), -1)
    confidences = torch.zeros(len(dialogues), turns, width)
    for row, dialogue in enumerate(dialogues):
        for turn, (ids, weights) in enumerate(dialogue):
            concept_ids[row, turn, : len(ids)] = torch.tensor(ids, dtype=torch.long)
            confidences[row, turn, : len(ids)] = torch.tensor(weights)
    return {"concept_ids": concept_ids, "concept_confidences": confidences}
