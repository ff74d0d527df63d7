"""What a speaker store of that size costs: `python -m emonet.benchmarks.speaker_store
--utterances N` prints it as JSON.
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
from typing import Any

import numpy as np

from ..speakers.store.build import build_store
from ..speakers.store.forget import forget_speaker
from ..speakers.store.queries import SpeakerStore, View

_SIZE, _TURNS, _SPEAKERS_A_SCENE, _QUERIES = 384, 20, 4, 20  # a vector's width is MiniLM's


class RandomVectors:
    """In place of an encoder, whose time is its own."""

    name, size = "random", _SIZE

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)

    def __call__(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        vectors = self._generator.standard_normal((len(texts), _SIZE), np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class MadeUpCorpus(dict):
    """Training dialogues of twenty turns by four of the speakers, who speak a thousand
    times each.
    """

    labels = ["Joyful", "Mad", "Neutral"]
    dataset_version = "made-up-1"

    def __init__(self, utterances: int):
        self.speakers = [
            f"Speaker Number{number}" for number in range(max(_SPEAKERS_A_SCENE, utterances // 1000))
        ]
        super().__init__(train=[self._dialogue(number) for number in range(utterances // _TURNS)])

    def _dialogue(self, number: int) -> dict[str, Any]:
        names = [
            self.speakers[(number * _SPEAKERS_A_SCENE + place) % len(self.speakers)]
            for place in range(_SPEAKERS_A_SCENE)
        ]
        turns = [
            {
                "speaker": names[place % _SPEAKERS_A_SCENE],
                "text": f"what is said in scene {number} at turn {place}",
                "emotion": (number + place) % len(self.labels),
                "utterance_index": number * _TURNS + place,
            }
            for place in range(_TURNS)
        ]
        return {"dialogue_id": f"scene-{number}", "turns": turns}


def measure(utterances: int, folder: Path) -> dict[str, Any]:
    """Seconds of building, a query (the median of 20), forgetting a speaker, and the size
    on disk in megabytes.
    """
    corpus, embedder = MadeUpCorpus(utterances), RandomVectors()
    store, built = _timed(lambda: build_store(folder, corpus, embedder))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    asked = [
        _query(store, corpus.speakers[place % len(corpus.speakers)], embedder) for place in range(_QUERIES)
    ]
    _, forgotten = _timed(lambda: forget_speaker(folder, corpus.speakers[0]))
    return {
        "utterances": len(corpus["train"]) * _TURNS,
        "speakers": len(corpus.speakers),
        "vector_size": _SIZE,
        "build_seconds": round(built, 2),
        "query_seconds": round(median(asked), 4),
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


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m emonet.benchmarks.speaker_store", description=__doc__)
    parser.add_argument("--utterances", type=int, default=100_000, help="a multiple of 20")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments.utterances, Path(folder, "store")), indent=1))


if __name__ == "__main__":
    main()
