"""SIGKILL at any moment of training, caching, building or pushing loses nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_hub import USER, FakeHub
from fuzzing import end_of, fork
from huggingface_hub.utils import get_session
from safetensors.torch import load_file
from tiny import build
from tiny_store import TinyEmbedder, corpus
from transformers import TrainerCallback

from emonet.data import features
from emonet.data.features import cached_memory_features
from emonet.errors import EmoNetError
from emonet.hub.push import push_run
from emonet.inference import predict as inference
from emonet.runs.train import train_run
from emonet.speakers.store.build import build_store
from emonet.speakers.store.queries import SpeakerStore
from emonet.train_trainer import EmoNetTrainer

SETTINGS: dict[str, Any] = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "learning_rate": 1e-3}
_CLOCKS = ("runtime", "per_second")


def killed(work: Callable[[], Any]) -> bool:
    """Run `work` in a fork and return whether it was killed before its end."""
    return end_of(fork(work)) == -signal.SIGKILL


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, backbone: Path, **options: Any) -> dict[str, Any]:
    return train_run(
        "sample",
        folder,
        preset="emonet-thesis",
        backbone=str(backbone),
        training_overrides=SETTINGS,
        cache_dir=folder.parent / "cache",
        progress=False,
        **options,
    )


@pytest.fixture(scope="module")
def whole(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without interruption."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(folder, backbone)
    return folder


def check_same(folder: Path, whole: Path) -> None:
    weights, expected = load_file(folder / "model.safetensors"), load_file(whole / "model.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    for name in ("metrics.json", "config.json", "speakers.json"):
        assert json.loads((folder / name).read_text()) == json.loads((whole / name).read_text()), name
    assert (folder / "predictions.jsonl").read_text() == (whole / "predictions.jsonl").read_text()
    runs = [json.loads((path / "run.json").read_text()) for path in (folder, whole)]
    figures = [
        [{key: row[key] for key in row if not key.endswith(_CLOCKS)} for row in run["epochs"]] for run in runs
    ]
    assert figures[0] == figures[1] and len(figures[0]) == 2
    assert runs[0]["best_epoch"] == runs[1]["best_epoch"]
    assert runs[0]["train_loss"] == pytest.approx(runs[1]["train_loss"], rel=1e-6)


class DiesAt(TrainerCallback):
    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            die()


def dying_at_step(step: int) -> Callable[..., None]:
    original = EmoNetTrainer.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.add_callback(DiesAt(step))

    return init


# Steps of both epochs, and the parts of writing a checkpoint: optimizer, random state and
# trainer state.
POINTS = ["step 2", "step 12", "_save_optimizer_and_scheduler", "_save_rng_state", "save_to_json"]


def train_and_die(point: str, folder: Path, backbone: Path, after: int = 1) -> bool:
    """Train and die at a step, or at the call of a method after `after` calls of it.

    A call that writes a file leaves half of it.
    """

    def work() -> None:
        patch = pytest.MonkeyPatch()
        if point == "after training":
            patch.setattr("emonet.runs.pipeline.write_run_report", die)
        elif point.startswith("step"):
            patch.setattr(EmoNetTrainer, "__init__", dying_at_step(int(point.split()[1])))
        else:
            from transformers.trainer_callback import TrainerState

            owner: Any = TrainerState if point == "save_to_json" else EmoNetTrainer
            original, calls = getattr(owner, point), [0]

            def dying(self: Any, path: str) -> Any:
                calls[0] += 1
                if calls[0] > after:
                    if point == "save_to_json":
                        Path(path).write_text('{"epoch": 2.0, "log_hist')
                    die()
                return original(self, path)

            patch.setattr(owner, point, dying)
        train(folder, backbone)

    return killed(work)


@pytest.mark.parametrize("point", ["save_to_json"])
def test_a_killed_training_resumes_to_the_same_result(
    point: str, whole: Path, backbone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert train_and_die(point, folder, backbone) and not (folder / "model.safetensors").exists()
    train(folder, backbone, resume=True)
    check_same(folder, whole)


@pytest.mark.slow
@pytest.mark.parametrize("point", [*POINTS, "after training"])
def test_training_killed_at_any_point(point: str, whole: Path, backbone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert train_and_die(point, folder, backbone)
    train(folder, backbone, resume=True)
    check_same(folder, whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_training_killed_repeatedly_at_random(seed: int, whole: Path, backbone: Path, tmp_path: Path) -> None:
    """Kill each attempt after a random time, until one completes."""
    folder, rng, attempts = tmp_path / "run", random.Random(seed), 0
    while True:
        child = fork(partial(train, folder, backbone, resume=True))
        time.sleep(rng.uniform(0.3, 2 + 2 * attempts))
        os.kill(child, signal.SIGKILL)
        attempts += 1
        if end_of(child) >= 0:
            break
    train(folder, backbone, resume=True)
    check_same(folder, whole)


@pytest.mark.parametrize("moment", ["second portion", "rename"])
def test_a_killed_cache_is_computed_again(moment: str, tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis")
    texts = ["hello", "great there", "no no no", "leave me alone you"]
    whole = np.array(
        cached_memory_features(model.emonet, processor, texts, tmp_path / "whole", progress=False)
    )

    def work() -> None:
        if moment == "rename":
            features.os.replace = die
        inference.TOKENS_PER_PASS = 4  # one text in a portion
        original = features.memory_vectors

        def dying(*args: Any) -> Any:
            for portion, found in enumerate(original(*args)):
                if portion == 1 and moment == "second portion":
                    die()
                yield found

        features.memory_vectors = dying
        cached_memory_features(model.emonet, processor, texts, tmp_path / "cache", progress=False)

    assert killed(work) and len(list((tmp_path / "cache").rglob("*.npy"))) == 1, (
        "half a table under a temporary name"
    )
    again = cached_memory_features(model.emonet, processor, texts, tmp_path / "cache", progress=False)
    assert np.allclose(again, whole, atol=1e-6)


BUILD = """
import os, signal, sys
from pathlib import Path
from emonet.speakers.store import build as store_build
from tiny_store import TinyEmbedder, corpus

folder, killer, moment = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store_build.PORTION = 2
calls = [0]

def dying(*args, **kwargs):
    calls[0] += 1
    if calls[0] == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)

owner = next(o for o in (store_build.StoreTables, store_build, TinyEmbedder) if killer in vars(o))
original = getattr(owner, killer)
setattr(owner, killer, dying)
store_build.build_store(folder / "store", corpus(folder / "corpus"), TinyEmbedder())
"""
# After the first facts, within the portions, before the speakers, at the index, before
# the last facts.
MOMENTS = [("replace", 2), ("__call__", 3), ("replace", 4), ("index_speakers", 1), ("write_facts", 2)]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_store_build_resumes(moment: tuple[str, int], tmp_path: Path) -> None:
    """In a process of its own, because LanceDB's threads do not survive a fork."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [str(tmp_path), moment[0], str(moment[1])]
    done = subprocess.run(
        [sys.executable, "-c", BUILD, *words], env=environment, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    with pytest.raises(EmoNetError, match="interrupted"):
        SpeakerStore(tmp_path / "store")
    conversations = corpus(tmp_path / "corpus")
    again, whole = (
        build_store(tmp_path / name, conversations, TinyEmbedder()) for name in ("store", "whole")
    )
    assert again.all_utterances() == whole.all_utterances() and again.speakers() == whole.speakers()
    assert again.similar("Ann", "comet", 3) == whole.similar("Ann", "comet", 3)


def test_a_push_killed_at_any_request_is_complete_or_absent(tokenizer: Any, tmp_path: Path) -> None:
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path / "run")
    with FakeHub() as hub, hub.here(tmp_path / "cache"):
        push_run(tmp_path / "run", f"{USER}/whole")
        expected = hub.files(f"{USER}/whole")
        request = 0
        while killed(partial(push_until, request, tmp_path / "run", f"{USER}/tiny-{request}")):
            name = f"{USER}/tiny-{request}"
            if ("model", name) in hub.repositories:
                assert set(hub.files(name)) <= {".gitattributes"} or hub.files(name).keys() == expected.keys()
            push_run(tmp_path / "run", name)
            files = hub.files(name)
            assert files.keys() == expected.keys()
            # README.md holds the repository's name.
            assert all(files[path] == expected[path] for path in files if path != "README.md")
            request += 1
        assert request > 5


def push_until(request: int, folder: Path, name: str) -> None:
    """Push, and die instead of sending the request of this index."""
    client: Any = type(get_session())
    original, sent = client.send, [0]

    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        if sent[0] == request:
            die()
        sent[0] += 1
        return original(self, *args, **kwargs)

    client.send = send
    push_run(folder, name)
