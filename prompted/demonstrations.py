"""Demonstrations: the labelled training turns that are most like a turn, shown in its
prompt (Lei et al. 2023, section 3.2).
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import cached_file

from ..checkpoint.files import package
from ..errors import EmoNetError
from ..files.guard import read_json

BANK_FILE, BANK_VECTORS = "demonstrations.json", "demonstrations.safetensors"


@dataclass(frozen=True)
class Demonstration:
    """A labelled training turn. `similarity` is the cosine to the turn that it is shown
    to.
    """

    text: str
    emotion: str
    dialogue_id: str
    similarity: float = 0.0


class DemonstrationBank:
    """Labelled training turns with sentence vectors; it travels with the checkpoint.

    Nothing of validation or test is in it. What a training turn is shown never comes from
    its own dialogue.

    Args:
        turns: The training turns. vectors: (N, H) float32, normalised.
        embedder: The sentence encoder (`minilm`, a Hub id or a folder). embedder_name:
            With its weights' digest.
    """

    def __init__(
        self, turns: Sequence[Demonstration], vectors: np.ndarray, embedder: str, embedder_name: str
    ):
        self.turns, self.vectors = list(turns), np.ascontiguousarray(vectors, np.float32)
        self.embedder, self.embedder_name = embedder, embedder_name
        self._embed: Any = None
        self._dialogues = np.array([turn.dialogue_id for turn in self.turns])
        self._emotions = np.array([turn.emotion for turn in self.turns])

    @classmethod
    def from_training(
        cls,
        dialogues: Sequence[Mapping[str, Any]],
        labels: Sequence[str],
        embedder: str = "minilm",
        embed: Any = None,
    ) -> "DemonstrationBank":
        """The bank of a corpus's labelled training turns.

        Args:
            dialogues: Rows of the training split's `dialogues` view. embed: The encoder,
                where it is loaded already.
        """
        turns = [
            Demonstration(turn["text"], labels[turn["emotion"]], row["dialogue_id"])
            for row in dialogues
            for turn in row["turns"]
            if turn["emotion"] is not None and turn["emotion"] >= 0 and turn["text"].strip()
        ]
        if not turns:
            raise EmoNetError("Demonstrations need labelled training turns, and there are none.")
        embed = embed or _encoder(embedder)
        bank = cls(turns, embed([turn.text for turn in turns]), embedder, embed.name)
        bank._embed = embed
        return bank

    def nearest(
        self,
        texts: Sequence[str],
        count: int,
        own_dialogue: str | None = None,
        emotions: Sequence[str | None] | None = None,
    ) -> list[list[Demonstration]]:
        """For each text the `count` turns that are most similar, best first; equal ones
        in order of time.

        Args:
            own_dialogue: The dialogue that the texts are from, where it is a training
                dialogue: nothing of it is shown.
            emotions: Show each text turns of this emotion alone (None: of any).
        """
        if not texts:
            return []
        similar = self._vectors_of(texts) @ self.vectors.T
        if own_dialogue is not None:
            similar[:, self._dialogues == own_dialogue] = -np.inf
        found = []
        for row, emotion in zip(similar, emotions or [None] * len(texts), strict=True):
            if emotion is not None:
                row = np.where(self._emotions == emotion, row, -np.inf)
            best = np.argsort(-row, kind="stable")[:count]
            turns = [(self.turns[place], float(row[place])) for place in best if np.isfinite(row[place])]
            found.append(
                [Demonstration(turn.text, turn.emotion, turn.dialogue_id, score) for turn, score in turns]
            )
        return found

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the turns and their vectors."""
        document = {
            "version": 1,
            "embedder": self.embedder,
            "embedder_name": self.embedder_name,
            "turns": [[turn.text, turn.emotion, turn.dialogue_id] for turn in self.turns],
        }
        Path(folder, BANK_FILE).write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n", "utf-8")
        save_file({"vectors": torch.from_numpy(self.vectors)}, Path(folder, BANK_VECTORS))

    @classmethod
    def load(cls, checkpoint: str | os.PathLike[str], **options: Any) -> "DemonstrationBank":
        """The bank saved beside a checkpoint.

        Raises:
            EmoNetError: where there is none that loads.
        """
        try:
            paths = [str(cached_file(str(checkpoint), name, **options)) for name in (BANK_FILE, BANK_VECTORS)]
            document = read_json(paths[0])
            turns = [Demonstration(*row) for row in document["turns"]]
            vectors = load_file(paths[1])["vectors"].numpy()
            if len(turns) != len(vectors):
                raise ValueError(f"{len(turns)} turns, {len(vectors)} vectors")
            return cls(turns, vectors, document["embedder"], document["embedder_name"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise EmoNetError(
                f"{checkpoint}: no demonstrations that load, which its prompts show ({error}); copy {BANK_FILE} and "
                f"{BANK_VECTORS} from the training run."
            ) from error

    def _vectors_of(self, texts: Sequence[str]) -> np.ndarray:
        if self._embed is None:
            embed = _encoder(self.embedder)
            if embed.name != self.embedder_name:
                raise EmoNetError(
                    f"The demonstrations' vectors are by {self.embedder_name}, {self.embedder!r} is {embed.name} here: give the "
                    "encoder they were made with."
                )
            self._embed = embed
        return np.asarray(self._embed(list(texts)), np.float32)


def _encoder(model: str) -> Any:
    try:
        return package.utterance_embedder(model)
    except ModuleNotFoundError as error:
        raise EmoNetError(
            f"Demonstrations are found by emonet's sentence encoder, and {error.name} is not installed."
        ) from error
