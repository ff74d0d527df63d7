"""Bulk prediction on a local Ray cluster of two workers, one of which is killed."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="the ray extra is not installed")

from tiny import build  # noqa: E402
from turn_files import predicted, rows_of, write_jsonl, write_parquet  # noqa: E402

from emonet.cli.main import main  # noqa: E402
from emonet.engines.bulk import ChunkWork, predict_files  # noqa: E402
from emonet.engines.bulk_input import Chunk  # noqa: E402
from emonet.engines.ray_engine import run_with_ray  # noqa: E402
from emonet.errors import EmoNetError  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers can't import a test
    path = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=path)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    write_parquet(folder / "a.parquet", rows_of(60))
    write_jsonl(folder / "b.jsonl", rows_of(61, start=60))
    return folder


class Killed(ChunkWork):
    """Its process is killed in the middle of chunk 7, once."""

    def __call__(self, chunk: Chunk) -> int:
        mark = self.output.folder.parent / "killed"
        if chunk.index == 7 and not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(chunk)


def killing(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    run_with_ray(Killed(**vars(work)), chunks, workers)


def in_turn(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    """Run here: `datasets` cannot hash a table where ray has its own way to pickle it."""
    for chunk in chunks:
        work(chunk)


def test_a_killed_worker_costs_no_row(cluster: None, source: Path, checkpoint: Path, tmp_path: Path) -> None:
    predict_files(checkpoint, source, tmp_path / "one", runner=in_turn, turns_a_part=20)
    done = predict_files(checkpoint, source, tmp_path / "ray", runner=killing, workers=2, turns_a_part=20)
    assert (tmp_path / "killed").exists() and done["complete"] and done["parts"] > 12
    for ours, theirs in zip(predicted(tmp_path / "ray"), predicted(tmp_path / "one"), strict=True):
        assert {**ours, "score": 0, "scores": 0} == {**theirs, "score": 0, "scores": 0}
        assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-5)


class Dies(ChunkWork):
    """Its process is killed by every chunk, as one that never fits in memory is."""

    def __call__(self, chunk: Chunk) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0


def dying(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    run_with_ray(Dies(**vars(work)), chunks, workers)


def test_a_worker_that_always_dies_ends_in_advice(
    cluster: None, source: Path, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        EmoNetError, match=r"A worker died .* most likely out of memory. Run again with a lower --batch-size"
    ):
        predict_files(checkpoint, source, tmp_path / "out", runner=dying, workers=1, turns_a_part=200)


class Refuses(ChunkWork):
    """Cannot write its part."""

    def __call__(self, chunk: Chunk) -> int:
        raise EmoNetError(f"No space is left for part {chunk.index}.")


def refusing(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    run_with_ray(Refuses(**vars(work)), chunks, workers)


def test_the_error_of_a_worker_is_told(cluster: None, checkpoint: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", rows_of(9))
    with pytest.raises(EmoNetError, match=r"^No space is left for part \d\.$"):
        predict_files(checkpoint, source, tmp_path / "out", runner=refusing, workers=2, turns_a_part=5)
    assert not json.loads((tmp_path / "out" / "predictions.json").read_text())["complete"]


@pytest.mark.parametrize("speakers", ["auto", "roles", "SPEAKER_00"])
def test_the_command_gives_the_rows_of_one_process(
    cluster: None, speakers: str, tokenizer: Any, tmp_path: Path
) -> None:
    """With a memory of the corpus, mixed dialogues, and columns beside predictions."""
    model, model.processor = build(tokenizer, "emonet-thesis", speaker_memory="corpus", memory_window=2)
    model.save_pretrained(tmp_path / "model")
    names = ["Ann", "SPEAKER_00", "ANN", "user"]
    texts = ["hello there", "great we won", "no"]
    rows = [
        {"dialogue_id": f"d{index // 12}-{index % 3}", "label": "mine", "speaker": names[index % 4]}
        | {"text": texts[index % 3 - index % 2]}
        for index in range(60)
    ]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    words = ["predict", "--model", str(tmp_path / "model"), str(source), "--prefix", "new_"]
    words += ["--interleaved", "--speakers", speakers]
    assert main([*words, "--output", str(tmp_path / "one.jsonl")]) == 0
    ray_words = ["--engine", "ray", "--workers", "2", "--turns-a-part", "5"]
    assert main([*words, "--output", str(tmp_path / "ray"), *ray_words]) == 0
    expected = [json.loads(line) for line in (tmp_path / "one.jsonl").read_text().splitlines()]
    found = predicted(tmp_path / "ray")
    assert len(list((tmp_path / "ray").glob("part-*"))) > 2
    for row, other in zip(found, expected, strict=True):
        assert row.pop("new_scores") == pytest.approx(other.pop("new_scores"), abs=1e-4)
        assert row.pop("new_score") == pytest.approx(other.pop("new_score"), abs=1e-4)
        assert row == other and list(row) == list(other)
