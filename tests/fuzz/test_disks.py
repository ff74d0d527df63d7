"""Full disks and read-only folders: a one-line error, no partial file, a resume."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import command, end_of, fork
from tiny_store import TinyEmbedder, corpus

from emonet.data import features
from emonet.errors import EmoNetError
from emonet.files.disk import is_full, room_on_disk
from emonet.speakers.store.build import build_store
from emonet.speakers.store.queries import SpeakerStore


def mounted(folder: Path, *options: str) -> Path:
    folder.mkdir()
    result = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    if result.returncode:
        pytest.skip("no right to mount a file system here")
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of sixteen megabytes."""
    folder = mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=16m", "tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def read_only(checkpoint: Path, tmp_path: Path) -> Iterator[Path]:
    """A checkpoint on a read-only file system."""
    folder = mounted(tmp_path / "read-only", "-t", "tmpfs", "tmpfs")
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    blocks = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * max(0, blocks.f_bavail * blocks.f_frsize - leave))
    return ballast


def train_words(backbone: Path, output: Path) -> list[str]:
    words = [
        "train",
        "--dataset",
        "sample",
        "--preset",
        "context",
        "--backbone",
        str(backbone),
        "--output-dir",
        str(output),
    ]
    return [*words, "--epochs", "1", "--batch-size", "32"]


def test_training_on_a_full_disk_fails_and_resumes(backbone: Path, small: Path) -> None:
    ballast = fill(small, 300_000)
    answer = command(*train_words(backbone, small / "run"))
    assert answer.status == 2 and "No space is left for" in answer.err and "--resume" in answer.err
    ballast.unlink()
    assert command(*train_words(backbone, small / "run"), "--resume").status == 0
    assert (small / "run" / "model.safetensors").is_file()


def test_caching_on_a_full_disk_is_an_error(small: Path) -> None:
    """Writing to a memory map without blocks on disk would be a SIGBUS."""

    def work() -> None:
        with pytest.raises(EmoNetError, match=r"No space is left for .*EMONET_CACHE"):
            features._cached("key", (10_000, 1000), lambda out: out.fill(7), small)
        assert not list(small.rglob("*.npy"))

    assert end_of(fork(work)) == 0
    assert (features._cached("key", (10, 10), lambda out: out.fill(7), small) == np.float32(7)).all()


def test_predictions_on_a_full_disk(checkpoint: Path) -> None:
    answer = command("predict", "--model", str(checkpoint), "--output", "/dev/full", stdin=b"Ann: hello")
    assert answer.status == 2 and "No space is left for /dev/full" in answer.err


def test_a_store_on_a_full_disk_fails_and_resumes(small: Path, tmp_path: Path) -> None:
    conversations, store = corpus(tmp_path / "corpus"), small / "store"
    ballast = fill(small, 8192)
    with pytest.raises(EmoNetError, match=r"(?i)no space|could not be read or written"):
        build_store(store, conversations, TinyEmbedder())
    ballast.unlink()
    built = build_store(store, conversations, TinyEmbedder())
    assert len(built.all_utterances()) == len(
        build_store(tmp_path / "whole", conversations, TinyEmbedder()).all_utterances()
    )
    assert SpeakerStore(store).facts["complete"]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, "No space left on device"), True),
        (
            RuntimeError(
                "[enforce fail at inline_container.cc:672] PytorchStreamWriter failed writing file data/0"
            ),
            True,
        ),
        (RuntimeError("size mismatch"), False),
        (OSError(2, "No such file"), False),
    ],
)
def test_full_disk_errors_are_recognized(error: Any, full: bool) -> None:
    assert is_full(error) is full
    with pytest.raises(EmoNetError if full else type(error)), room_on_disk("here", "again"):
        raise error


def test_a_read_only_checkpoint_predicts_and_is_evaluated(read_only: Path) -> None:
    answer = command("predict", "--model", str(read_only), stdin=b"Ann: hello")
    assert answer.status == 0 and answer.out.count("\n") == 1
    answer = command("evaluate", "--model", str(read_only), "--dataset", "sample", "--split", "test")
    assert answer.status == 0 and "weighted F1" in answer.out


@pytest.mark.parametrize("command_name", ["train", "predict", "evaluate", "export", "store"])
def test_outputs_in_a_read_only_folder(
    command_name: str, read_only: Path, checkpoint: Path, backbone: Path
) -> None:
    words = {
        "train": train_words(backbone, read_only / "run"),
        "predict": ["predict", "--model", str(checkpoint), "--output", str(read_only / "x.jsonl")],
        "evaluate": [
            "evaluate",
            "--model",
            str(checkpoint),
            "--dataset",
            "sample",
            "--json",
            str(read_only / "x.json"),
        ],
        "export": ["export", "--model", str(checkpoint), "--output", str(read_only / "onnx")],
        "store": ["speakers", "import", "--store", str(read_only / "store"), str(read_only)],
    }[command_name]
    answer = command(*words, stdin=b"Ann: hello")
    assert answer.status == 2 and str(read_only) in answer.err


def test_a_file_in_place_of_a_folder(backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    answer = command(*train_words(backbone, tmp_path / "run"))
    assert answer.status == 2 and str(tmp_path / "run") in answer.err


def test_a_cache_in_a_read_only_folder(read_only: Path) -> None:
    with pytest.raises((EmoNetError, OSError), match=str(read_only)):
        features._cached("key", (2, 3), lambda out: out.fill(7), read_only / "cache")
