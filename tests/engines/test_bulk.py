"""Bulk prediction: complete and in order after kills, changes, damage, full disks."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import build
from turn_files import predicted, rows_of, write_jsonl, write_parquet

from emonet.cli.main import main
from emonet.engines import bulk, bulk_output
from emonet.engines.bulk import ChunkWork, predict_files
from emonet.engines.bulk_input import Chunk, input_files, plan_chunks
from emonet.errors import EmoNetError
from emonet.pretrained import models


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A Parquet and a JSONL file, 161 turns in all."""
    folder = tmp_path / "in"
    folder.mkdir()
    write_parquet(folder / "a.parquet", rows_of(20))
    write_jsonl(folder / "b.jsonl", rows_of(21, start=20))
    return folder


def written(source: Path) -> list[dict[str, Any]]:
    lines = (source / "b.jsonl").read_text().splitlines()
    return pq.read_table(source / "a.parquet").to_pylist() + [json.loads(line) for line in lines]


@pytest.mark.parametrize("turns_a_part", [1, 15, 10_000])
def test_every_row_comes_out_once_in_order_with_its_columns(
    source: Path, checkpoint: Path, tmp_path: Path, turns_a_part: int
) -> None:
    done = predict_files(checkpoint, source, tmp_path / "out", turns_a_part=turns_a_part)
    rows = predicted(tmp_path / "out")
    assert [
        {name: row[name] for name in ("dialogue_id", "speaker", "text", "line")} for row in rows
    ] == written(source)
    assert (
        done["complete"]
        and done["rows"] == len(rows)
        and done["parts"] == len(list((tmp_path / "out").glob("part-*")))
    )
    assert all(max(row["scores"], key=row["scores"].get) == row["label"] for row in rows)
    assert all(row["score"] == row["scores"][row["label"]] for row in rows)


class Stops(ChunkWork):
    """Fails at the third chunk."""

    def __call__(self, chunk: Chunk) -> int:
        if chunk.index == 2:
            raise KeyboardInterrupt
        return super().__call__(chunk)


def stopping(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
    stops = Stops(work.checkpoint, work.output, work.schema, work.batch_size, work.starts, work.dtype)
    for chunk in chunks:
        stops(chunk)


def test_a_stopped_run_resumes_with_the_missing_parts(source: Path, checkpoint: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    predict_files(checkpoint, source, whole, turns_a_part=15)
    with pytest.raises(KeyboardInterrupt):
        predict_files(checkpoint, source, out, runner=stopping, turns_a_part=15)
    assert (
        len(list(out.glob("part-*.parquet"))) == 2
        and not json.loads((out / "predictions.json").read_text())["complete"]
    )
    (out / "part-00000001.parquet").write_bytes((out / "part-00000001.parquet").read_bytes()[:-20])
    (out / "part-00000007.99.writing").write_bytes(b"half")
    first = (out / "part-00000000.parquet").stat().st_mtime_ns
    predict_files(checkpoint, source, out, turns_a_part=15)
    assert (out / "part-00000000.parquet").stat().st_mtime_ns == first
    assert predicted(out) == predicted(whole) and not list(out.glob("*.writing"))


@pytest.mark.parametrize("changed", ["model", "input"])
def test_files_that_change_during_the_run_leave_nothing(
    changed: str, source: Path, checkpoint: Path, tmp_path: Path
) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(checkpoint, model)
    name = "speakers.json" if changed == "model" else "b.jsonl"
    path = (model if changed == "model" else source) / name

    def changing(work: ChunkWork, chunks: Sequence[Chunk], workers: int) -> None:
        for chunk in chunks:
            work(chunk)
        path.write_text(path.read_text().replace("Ann", "Eve"))

    with pytest.raises(
        EmoNetError, match=f"{name} changed during the run, so its parts were deleted: run the command again"
    ):
        predict_files(model, source, out, runner=changing)
    assert [path.name for path in out.iterdir()] == [bulk_output.LOCK]
    assert predict_files(model, source, out)["complete"]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")]
)
def test_the_error_of_too_little_memory_names_the_rows(
    error: Exception, source: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(bulk, "predict_stream", fails)
    with pytest.raises(
        EmoNetError, match=r"a.parquet, rows 1 to 15: out of memory. Run again with a lower --batch-size"
    ):
        predict_files(checkpoint, source, tmp_path / "out", turns_a_part=15)


def test_a_killed_process_leaves_nothing_half_valid(source: Path, checkpoint: Path, tmp_path: Path) -> None:
    write_jsonl(source / "c.jsonl", rows_of(140, start=50))
    out = tmp_path / "out"
    words = ["predict", "--model", str(checkpoint), str(source), "--output", str(out), "--engine", "datasets"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "emonet.cli.main", *words, "--turns-a-part", "5"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while (
        len(list(out.glob("part-*.parquet"))) < 3 and time.monotonic() < deadline and process.poll() is None
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = len(list(out.glob("part-*.parquet")))
    assert left >= 3 and not json.loads((out / "predictions.json").read_text())["complete"]
    done = predict_files(checkpoint, source, out, turns_a_part=5)
    ids = [
        json.loads(line)
        for name in ("b.jsonl", "c.jsonl")
        for line in (source / name).read_text().splitlines()
    ]
    assert [row["dialogue_id"] for row in predicted(out)][-len(ids) :] == [row["dialogue_id"] for row in ids]
    assert done["rows"] == len(predicted(out)) and done["parts"] > left


def test_two_processes_give_the_same(
    source: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict_files(checkpoint, source, tmp_path / "one", turns_a_part=15)
    words = ["--engine", "datasets", "--workers", "2", "--turns-a-part", "15"]
    assert (
        main(["predict", "--model", str(checkpoint), str(source), "--output", str(tmp_path / "two"), *words])
        == 0
    )
    assert f"{len(written(source))} turns" in capsys.readouterr().out
    for ours, theirs in zip(predicted(tmp_path / "two"), predicted(tmp_path / "one"), strict=True):
        assert {**ours, "score": 0, "scores": 0} == {**theirs, "score": 0, "scores": 0}
        assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-5)


def test_a_folder_of_other_predictions_is_refused(source: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(checkpoint, source, out)
    before = predicted(out)
    with pytest.raises(
        EmoNetError, match=r"other predictions \(turns_a_part differ\). Choose another --output, or delete"
    ):
        predict_files(checkpoint, source, out, turns_a_part=15)
    with pytest.raises(EmoNetError, match=r"other predictions \(dtype differ\)"):
        predict_files(checkpoint, source, out, dtype="bfloat16")
    write_jsonl(source / "b.jsonl", rows_of(3, start=20))
    with pytest.raises(EmoNetError, match=r"other predictions \(input differ\)"):
        predict_files(checkpoint, source, out)
    (out / "predictions.json").unlink()
    with pytest.raises(EmoNetError, match=r"parts without predictions.json"):
        predict_files(checkpoint, source, out)
    assert predicted(out) == before


def test_the_dtype_is_kept_and_old_folders_are_of_float32(
    source: Path, checkpoint: Path, tmp_path: Path
) -> None:
    exact, rounded = tmp_path / "exact", tmp_path / "rounded"
    assert predict_files(checkpoint, source, exact)["dtype"] == "float32"  # of the tests' environment
    assert predict_files(checkpoint, source, rounded, dtype="bfloat16")["dtype"] == "bfloat16"
    scores = [[row["score"] for row in predicted(folder)] for folder in (exact, rounded)]
    assert scores[0] != scores[1] and scores[0] == pytest.approx(scores[1], abs=0.1)
    manifest = json.loads((exact / "predictions.json").read_text())
    del manifest["dtype"]
    (exact / "predictions.json").write_text(json.dumps(manifest))
    predict_files(checkpoint, source, exact, dtype="float32")
    assert [row["score"] for row in predicted(exact)] == scores[0]


def test_another_model_is_refused(source: Path, checkpoint: Path, tmp_path: Path, tokenizer: Any) -> None:
    predict_files(checkpoint, source, tmp_path / "out")
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.classifier[1].bias.data += 1
    model.save_pretrained(tmp_path / "other")
    with pytest.raises(EmoNetError, match=r"other predictions \(model differ\)"):
        predict_files(tmp_path / "other", source, tmp_path / "out")


def test_a_full_disk_is_an_error_and_leaves_no_part(
    source: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(table: Any, file: Any) -> None:
        file.write(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bulk_output.pq, "write_table", full)
        with pytest.raises(EmoNetError, match=r"No space is left for .*part-00000000.parquet. Free some"):
            predict_files(checkpoint, source, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"predictions.json", bulk_output.LOCK}
    assert predict_files(checkpoint, source, tmp_path / "out")["complete"]


GOOD = '{"dialogue_id": "x", "speaker": "Ann", "text": "hello"}\n'


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (GOOD + "{oops\n", r"in.jsonl, line 2: not JSON"),
        (GOOD + "[]\n", r"in.jsonl, line 2: expected an object"),
        (GOOD + " \n\n{oops\n", r"in.jsonl, line 4: not JSON"),
        (GOOD + '{"dialogue_id": "x", "speaker": "Ann"}\n', r"in.jsonl, line 2: lacks text"),
        (
            GOOD + '{"dialogue_id": null, "speaker": "Ann", "text": "a"}\n',
            r"in.jsonl, line 2, dialogue_id: is empty",
        ),
        (
            GOOD + GOOD.replace('"x"', '"y"') + GOOD,
            r"in.jsonl, line 3: dialogue 'x' begins again after another one. Add --interleaved",
        ),
        (
            GOOD.replace('"x"', '"x", "turn": 2') * 2,
            r"in.jsonl, row 2, turn: 2 was given before \(on row 1\); number each turn",
        ),
        (
            GOOD.replace('"text"', '"label": "Sad", "text"'),
            r"column 'label', which the predictions are written to",
        ),
        (
            GOOD + GOOD.replace('"hello"', '"a", "n": [1]') + GOOD.replace('"hello"', '"a", "n": {"b": 1}'),
            "several types",
        ),
        ("", r"there are no turns in the input"),
    ],
)
def test_bad_rows_are_named(lines: str, message: str, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(lines)
    with pytest.raises(EmoNetError, match=message):
        predict_files(checkpoint, tmp_path / "in.jsonl", tmp_path / "out")
    assert not list((tmp_path / "out").glob("part-*"))


def test_corrupt_parquet_is_named(checkpoint: Path, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "in.parquet", rows_of(40))
    content = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(7).column(2)
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + 12] = b"\xff" * 12
    path.write_bytes(content)
    with pytest.raises(
        EmoNetError, match=r"in.parquet, row group 7, from row 71 on: can't be read .*Write the file again"
    ):
        predict_files(checkpoint, path, tmp_path / "out", turns_a_part=1000)
    path.write_bytes(content[:-9])
    with pytest.raises(EmoNetError, match=r"cannot read Parquet file"):
        predict_files(checkpoint, path, tmp_path / "other")


def test_columns_are_the_same_in_all_files(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    first, second = rows_of(3), rows_of(3, start=10)
    write_jsonl(folder / "a.jsonl", [{**row, "note": None} for row in first])
    write_jsonl(folder / "b.jsonl", [{**row, "note": "seen"} for row in second])
    predict_files(checkpoint, folder, tmp_path / "out", turns_a_part=2)
    assert {row["note"] for row in predicted(tmp_path / "out")} == {None, "seen"}
    write_jsonl(folder / "c.jsonl", [{**row, "note": {"a": 1}} for row in rows_of(1, start=20)])
    with pytest.raises(EmoNetError, match="columns don't go together"):
        predict_files(checkpoint, folder, tmp_path / "out")


def test_chunks_are_whole_dialogues(source: Path) -> None:
    plan = plan_chunks(input_files(source), 10)
    assert plan.rows == len(written(source)) and [chunk.index for chunk in plan.chunks] == list(
        range(len(plan.chunks))
    )
    rows = {"a.parquet": pq.read_table(source / "a.parquet").to_pylist()}
    rows["b.jsonl"] = written(source)[len(rows["a.parquet"]) :]
    for chunk in plan.chunks:
        here = rows[Path(chunk.path).name]
        assert chunk.last - chunk.first >= 10 or chunk.last == len(here)
        assert chunk.first == 0 or here[chunk.first]["dialogue_id"] != here[chunk.first - 1]["dialogue_id"]


def test_a_built_in_model_is_found_by_name(
    source: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_HERE", checkpoint.parent)
    monkeypatch.setitem(models.MODELS, checkpoint.name, models.BuiltIn(checkpoint.name, "emonet", "minilm"))
    predict_files(checkpoint.name, source, tmp_path / "by_name")
    predict_files(checkpoint, source, tmp_path / "by_folder")
    assert predicted(tmp_path / "by_name") == predicted(tmp_path / "by_folder")


def test_missing_input_and_remote_models_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(EmoNetError, match=r"expected a file of turns \(.parquet, .jsonl, .csv"):
        predict_files(checkpoint, tmp_path / "none", tmp_path / "out")
    with pytest.raises(EmoNetError, match="is not a folder: bulk prediction needs a model on this machine"):
        predict_files("user/model", tmp_path, tmp_path / "out")
    assert main(["predict", "--model", str(checkpoint), "--engine", "datasets"]) == 2


def test_files_with_the_same_name_are_both_compared(checkpoint: Path, tmp_path: Path) -> None:
    for index, name in enumerate("ab"):
        (tmp_path / "in" / name).mkdir(parents=True)
        write_jsonl(tmp_path / "in" / name / "turns.jsonl", rows_of(3, start=10 * index))
    predict_files(checkpoint, tmp_path / "in", tmp_path / "out")
    changed = [{**row, "text": "no"} for row in rows_of(3)]
    write_jsonl(tmp_path / "in" / "a" / "turns.jsonl", changed)
    with pytest.raises(EmoNetError, match=r"other predictions \(input differ\)"):
        predict_files(checkpoint, tmp_path / "in", tmp_path / "out")


def test_a_part_with_other_rows_under_a_good_footer_is_made_again(
    source: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict_files(checkpoint, source, out, turns_a_part=15)
    expected, part = predicted(out), out / "part-00000002.parquet"
    table = pq.read_table(part)
    ids = pa.array(["other"] * table.num_rows)
    pq.write_table(table.set_column(0, "dialogue_id", ids), part)  # keeps the metadata
    with pytest.raises(
        EmoNetError, match=r"part-00000002.parquet was missing or incomplete: run the same command again"
    ):
        predict_files(checkpoint, source, out, turns_a_part=15)
    predict_files(checkpoint, source, out, turns_a_part=15)
    assert predicted(out) == expected


def test_other_files_are_never_skipped_silently(source: Path, checkpoint: Path, tmp_path: Path) -> None:
    (source / "_SUCCESS").write_text("")
    (source / "more.pdf").write_text("dialogue_id,speaker,text\n")
    with pytest.raises(EmoNetError, match=r"more.pdf: expected only files of turns \(.parquet, .jsonl"):
        predict_files(checkpoint, source, tmp_path / "out")


@pytest.mark.slow
def test_a_hundred_thousand_turns_need_no_more_memory_than_a_fifth_of_them(
    checkpoint: Path, tmp_path: Path
) -> None:
    peaks, turns = [], []
    for dialogues in (5_000, 25_000):
        source = write_parquet(tmp_path / f"{dialogues}.parquet", rows_of(dialogues), group=50_000)
        out = tmp_path / str(dialogues)
        words = ["predict", "--model", str(checkpoint), str(source)]
        words += ["--output", str(out), "--engine", "datasets"]
        code = (
            "import resource, sys; from emonet.cli.main import main; main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        printed = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        peaks.append(int(printed.splitlines()[-1]))
        turns.append(json.loads((out / "predictions.json").read_text())["rows"])
    print(f"{turns} turns: peak of {peaks} KiB")
    assert turns[1] >= 99_000 and peaks[1] < 1.1 * peaks[0]
