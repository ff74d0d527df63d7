"""Find the labelled training turns that are most similar to a turn.

After Lei et al. 2023 (InstructERC), section 3.2.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers.utils.hub import cached_file

from ..checkpoint.files import package
from ..errors import EmoNetError
from ..files.guard import read_json

BANK_FILE, BANK_VECTORS = "demonstrations.json", "demonstrations.safetensors"


class SentenceEncoder(Protocol):
    """What computes sentence vectors: `UtteranceEmbedder`, where emonet is installed."""

    name: str

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return normalised vectors (N, H), float32."""
        ...


@dataclass(frozen=True)
class Demonstration:
    """A labelled training turn.

    Attributes:
        text: The utterance.
        emotion: Its label.
        dialogue_id: Its dialogue.
        similarity: Cosine similarity to the turn that it was found for.
    """

    text: str
    emotion: str
    dialogue_id: str
    similarity: float = 0.0


class DemonstrationBank:
    """Labelled training turns with sentence vectors, saved with the checkpoint.

    It holds nothing of validation or test. Training turns never get a demonstration from
    their own dialogue.

    Args:
        turns: The training turns.
        vectors: Their vectors (N, H), float32, normalised.
        embedder: The sentence encoder (`minilm`, a Hub id or a folder).
        embedder_name: The encoder's name with the digest of its weights.
    """

    def __init__(
        self, turns: Sequence[Demonstration], vectors: np.ndarray, embedder: str, embedder_name: str
    ):
        self.turns, self.vectors = list(turns), np.ascontiguousarray(vectors, np.float32)
        self.embedder, self.embedder_name = embedder, embedder_name
        self._embed: SentenceEncoder | None = None
        self._dialogues = np.array([turn.dialogue_id for turn in self.turns])
        self._emotions = np.array([turn.emotion for turn in self.turns])

    @classmethod
    def from_training(
        cls,
        dialogues: Sequence[Mapping[str, Any]],
        labels: Sequence[str],
        embedder: str = "minilm",
        embed: SentenceEncoder | None = None,
    ) -> "DemonstrationBank":
        """Build the bank of a corpus's labelled training turns.

        Args:
            dialogues: Rows of the training split's `dialogues` view.
            labels: Label names, in order of their ids.
            embedder: The sentence encoder (`minilm`, a Hub id or a folder).
            embed: The encoder, if it is loaded already.

        Raises:
            EmoNetError: If there are no labelled turns.
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
        """Return for each text the most similar turns, best first.

        Equally similar turns are in order of time.

        Args:
            texts: Utterances.
            count: Maximum number of turns for each text.
            own_dialogue: The training dialogue of the texts; its turns are left out.
            emotions: For each text, the only emotion to return turns of (None: any).
        """
        if not texts:
            return []
        similarities = self._vectors_of(texts) @ self.vectors.T
        if own_dialogue is not None:
            similarities[:, self._dialogues == own_dialogue] = -np.inf
        found = []
        for row, emotion in zip(similarities, emotions or [None] * len(texts), strict=True):
            if emotion is not None:
                row = np.where(self._emotions == emotion, row, -np.inf)
            best = np.argsort(-row, kind="stable")[:count]
            found.append(
                [
                    replace(self.turns[index], similarity=float(row[index]))
                    for index in best
                    if np.isfinite(row[index])
                ]
            )
        return found

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the turns and their vectors into `folder`."""
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
        """Load the bank saved beside a checkpoint.

        Raises:
            EmoNetError: If it is missing or cannot be read.
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
                f"{checkpoint}: cannot load the demonstrations that its prompts need ({error}). "
                f"Copy {BANK_FILE} and {BANK_VECTORS} from the training run."
            ) from error

    def _vectors_of(self, texts: Sequence[str]) -> np.ndarray:
        if self._embed is None:
            embed = _encoder(self.embedder)
            if embed.name != self.embedder_name:
                raise EmoNetError(
                    f"The demonstrations' vectors are by {self.embedder_name}, but {self.embedder!r} is "
                    f"{embed.name} here: give the encoder that made them."
                )
            self._embed = embed
        return np.asarray(self._embed(list(texts)), np.float32)


def _encoder(model: str) -> SentenceEncoder:
    try:
        encoder: SentenceEncoder = package.utterance_embedder(model)
    except ModuleNotFoundError as error:
        raise EmoNetError(
            f"Demonstrations are found by emonet's sentence encoder, and {error.name} is not installed."
        ) from error
    return encoder
