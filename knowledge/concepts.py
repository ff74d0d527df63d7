"""ConceptTable: what a knowledge graph says of words, as it travels with a checkpoint; a
turn's text → its concepts.
"""

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
    """The words of a text in small letters; `don't` and `mother-in-law` are one word
    each.
    """
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


@dataclass(frozen=True)
class ConceptTable:
    """Concepts, how emotional each is, and those that stand beside each word.

    Attributes:
        concepts: Names by id. affect: Emotional intensity of each, 0 to 1.
        words: Word → its neighbours as (id, confidence from 0 to 1), the most confident
            first.
        sources: Where it is from: name, version and licence of graph and lexicon.
        per_turn: How many concepts a turn may have; those of the highest confidence are
            kept.
    """

    file_name: ClassVar[str] = CONCEPTS_FILE

    concepts: list[str]
    affect: list[float]
    words: Mapping[str, Sequence[tuple[int, float]]]
    sources: list[dict[str, Any]] = field(default_factory=list)
    per_turn: int = 48

    def of(self, text: str) -> tuple[list[int], list[float]]:
        """Ids and confidences of a turn's concepts, each concept once with its highest
        confidence.
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
        """The table of a `concepts.json`.

        Raises:
            ValueError: for a file that is none.
        """
        try:
            content = read_json(path)
            words = {word: [(int(i), float(w)) for i, w in rows] for word, rows in content["words"].items()}
            return cls(content["concepts"], content["affect"], words, content["sources"], content["per_turn"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not a table of concepts ({error!r}); copy it anew from the training run."
            ) from error


def collate_concepts(
    dialogues: Sequence[Sequence[tuple[list[int], list[float]]]], turns: int
) -> dict[str, torch.Tensor]:
    """Each turn's ids and confidences → `concept_ids` (B, T, C), -1 for none, and
    `concept_confidences` (B, T, C).
    """
    width = max((len(ids) for rows in dialogues for ids, _ in rows), default=0) or 1
    numbers = torch.full((len(dialogues), turns, width), -1)
    confidences = torch.zeros(len(dialogues), turns, width)
    for place, rows in enumerate(dialogues):
        for turn, (ids, weights) in enumerate(rows):
            numbers[place, turn, : len(ids)] = torch.tensor(ids, dtype=torch.long)
            confidences[place, turn, : len(ids)] = torch.tensor(weights)
    return {"concept_ids": numbers, "concept_confidences": confidences}
