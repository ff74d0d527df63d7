"""Measure a speaker store of a given size.

`python -m emonet.benchmarks.speaker_store --utterances N` prints the figures as JSON.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

from ..dialogue.names import AUTO
from ..speakers.store.build import build_store
from ..speakers.store.forget import forget_speaker
from ..speakers.store.queries import SpeakerStore, View

_SIZE = 384  # the width of MiniLM's vectors
_TURNS, _SPEAKERS_PER_DIALOGUE, _QUERIES = 20, 4, 20

T = TypeVar("T")


class RandomVectors:
    """Random vectors instead of an encoder, so that its time is not measured."""

    name, size = "random", _SIZE

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)

    def __call__(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        vectors: np.ndarray = self._generator.standard_normal((len(texts), _SIZE), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


class SyntheticCorpus(dict[str, list[dict[str, Any]]]):
    """Training dialogues of 20 turns by 4 speakers, each with about 1000 utterances."""

    labels = ["Joyful", "Mad", "Neutral"]
    dataset_version = "made-up-1"
    speaker_kinds = AUTO

    def __init__(self, utterances: int):
        self.speakers = [
            f"Jo Number{index}" for index in range(max(_SPEAKERS_PER_DIALOGUE, utterances // 1000))
        ]
        super().__init__(train=[self._dialogue(index) for index in range(utterances // _TURNS)])

    def _dialogue(self, index: int) -> dict[str, Any]:
        names = [
            self.speakers[(index * _SPEAKERS_PER_DIALOGUE + offset) % len(self.speakers)]
            for offset in range(_SPEAKERS_PER_DIALOGUE)
        ]
        turns = [
            {
                "speaker": names[turn % _SPEAKERS_PER_DIALOGUE],
                "text": f"what is said in scene {index} at turn {turn}",
                "emotion": (index + turn) % len(self.labels),
                "utterance_index": index * _TURNS + turn,
            }
            for turn in range(_TURNS)
        ]
        return {"dialogue_id": f"scene-{index}", "turns": turns}


def measure(utterances: int, folder: Path) -> dict[str, Any]:
    """Time building a store, querying it and forgetting a speaker.

    Returns:
        Seconds of the steps (a query's is the median of 20), and the size on disk in
        megabytes.
    """
    corpus, embedder = SyntheticCorpus(utterances), RandomVectors()
    store, built = _timed(lambda: build_store(folder, corpus, embedder))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    queries = [
        _query(store, corpus.speakers[index % len(corpus.speakers)], embedder) for index in range(_QUERIES)
    ]
    _, forgotten = _timed(lambda: forget_speaker(folder, corpus.speakers[0]))
    return {
        "utterances": len(corpus["train"]) * _TURNS,
        "speakers": len(corpus.speakers),
        "vector_size": _SIZE,
        "build_seconds": round(built, 2),
        "query_seconds": round(median(queries), 4),
        "forget_seconds": round(forgotten, 2),
        "megabytes": round(size / 1e6, 1),
        "lancedb": version("lancedb"),
        "machine": platform.machine(),
    }


def _query(store: SpeakerStore, speaker: str, embedder: RandomVectors) -> float:
    context = embedder([""])[0]
    found, seconds = _timed(lambda: store.similar(speaker, context, 5, View("train")))
    assert len(found) == 5
    return seconds


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m emonet.benchmarks.speaker_store", description=__doc__)
    parser.add_argument("--utterances", type=int, default=100_000, help="a multiple of 20")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments.utterances, Path(folder, "store")), indent=1))


if __name__ == "__main__":
    main()
