"""Concurrent and killed bulk runs: one writer, no orphans, no row read twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from tiny import build
from turn_files import predicted, rows_of, write_parquet

from emonet.engines import bulk_input, bulk_output
from emonet.engines.bulk import ChunkWork, predict_files
from emonet.engines.bulk_input import Chunk, plan_chunks, read_chunk
from emonet.errors import EmoNetError

PATIENCE = 120


@pytest.fixture(scope="module")
def checkpoint(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(folder)
    return folder


def eventually(condition: Callable[[], bool], message: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, message
        time.sleep(0.05)


@pytest.fixture
def running(checkpoint: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """A bulk run with two workers that has written some parts: process, input, output."""
    source, out = write_parquet(tmp_path / "in.parquet", rows_of(600)), tmp_path / "out"
    words = ["predict", "--model", str(checkpoint), str(source), "--output", str(out), "--engine", "datasets"]
    process = subprocess.Popen(
        [sys.executable, "-m", "emonet.cli.main", *words, "--workers", "2", "--turns-a-part", "10"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        eventually(
            lambda: len(list(out.glob("part-*.parquet"))) > 3 or process.poll() is not None, "no part came"
        )
        assert process.poll() is None, "it ended before the test began"
        yield process, source, out
    finally:
        for pid in (*of_session(process.pid), process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def of_session(leader: int) -> list[int]:
    """Ids of the processes that a run has started, without its own."""
    found = []
    for pid in psutil.pids():
        try:
            if (
                pid != leader
                and os.getsid(pid) == leader
                and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
            ):
                found.append(pid)
        except (ProcessLookupError, PermissionError, psutil.Error):
            pass
    return found


@pytest.mark.slow
def test_workers_end_with_a_killed_run_and_the_next_resumes(running: Any, checkpoint: Path) -> None:
    process, source, out = running
    assert len(of_session(process.pid)) >= 2
    process.kill()
    process.wait()
    eventually(
        lambda: not of_session(process.pid),
        f"{len(of_session(process.pid))} processes are left of a killed run",
    )
    assert (out / bulk_output.LOCK).exists(), "the dead run's lock"
    assert predict_files(checkpoint, source, out, turns_a_part=10)["complete"]
    assert [row["line"] for row in predicted(out)] == [row["line"] for row in rows_of(600)]


def test_a_second_run_on_the_same_folder_is_refused(
    running: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, source, out = running
    process.send_signal(signal.SIGSTOP)  # so that it does not end first
    monkeypatch.setattr(bulk_output, "_PATIENCE", 0.1)
    with pytest.raises(
        EmoNetError,
        match=r"Another bulk prediction is writing to .*out: wait for it, stop it, or choose another",
    ):
        predict_files(checkpoint, source, out, turns_a_part=10)


def test_a_failed_run_releases_its_lock(checkpoint: Path, tmp_path: Path) -> None:
    def fails(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
        raise KeyboardInterrupt

    source = write_parquet(tmp_path / "in.parquet", rows_of(5))
    with pytest.raises(KeyboardInterrupt):
        predict_files(checkpoint, source, tmp_path / "out", runner=fails)
    assert predict_files(checkpoint, source, tmp_path / "out")["complete"]


@pytest.mark.parametrize("group", [100_000, 700])
def test_a_row_group_is_decoded_once(group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(4000)
    source = write_parquet(tmp_path / "in.parquet", rows, group)
    plan = plan_chunks([source], 50)
    assert len(plan.chunks) > 100
    decoded, original = [0], pq.ParquetFile.iter_batches

    def counting(self: Any, *args: Any, **options: Any) -> Iterator[Any]:
        for batch in original(self, *args, **options):
            decoded[0] += batch.num_rows
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counting)
    assert [row for chunk in plan.chunks for row in read_chunk(chunk, plan.schema).to_pylist()] == rows
    assert decoded[0] == len(rows)
    decoded[0] = 0
    last = plan.chunks[-1]
    assert read_chunk(last, plan.schema).to_pylist() == rows[last.first :]
    assert decoded[0] <= group, "a resumed run does not read the file from its start"


def test_rows_are_right_in_any_order_and_after_a_change(tmp_path: Path) -> None:
    rows = rows_of(300)
    source = write_parquet(tmp_path / "in.parquet", rows, 100)
    plan = plan_chunks([source], 20)
    for index in (3, 4, 9, 2, 2, 30, 7, 0):
        chunk = plan.chunks[index]
        assert read_chunk(chunk, plan.schema).to_pylist() == rows[chunk.first : chunk.last]
    write_parquet(source, [{**row, "dialogue_id": f"x{row['dialogue_id']}"} for row in rows], 100)
    with pytest.raises(EmoNetError, match="was changed while it was read"):
        bulk_input.read_chunk(plan.chunks[1], plan.schema)
