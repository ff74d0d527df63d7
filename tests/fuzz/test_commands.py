"""Fuzz the commands: status 0, or 2 and a one-line error; never a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_hub import USER, FakeHub
from fuzzing import command
from hypothesis import given
from hypothesis import strategies as st
from strategies import damaged, dialogues, file_bytes, json_lines, json_text, json_values, names, texts
from tiny import LABELS

from emonet.errors import EmoNetError
from emonet.studies import study as studies
from emonet.train_trainer import EmoNetTrainer
from emonet.training.presets import PRESETS

WORDS = texts().filter(lambda text: "\0" not in text and len(text) < 300)
PATHS = st.one_of(
    st.sampled_from(
        ["nowhere", ".", "/", "", "~nobody/x", "../..", "a" * 300, "/dev/null", "-", "user/model", "s3://x/y"]
    ),
    WORDS,
)
NUMBERS = st.one_of(
    st.sampled_from(["0", "-1", "1", "nan", "inf", "1e400", "2.5", "x", "", "9" * 30]), st.integers().map(str)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("command")


def optional(**values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """Any subset of options, as `--name=value`."""
    flags = {
        name: value.map(lambda text, name=name: f"--{name.replace('_', '-')}={text}")
        for name, value in values.items()
    }
    return st.fixed_dictionaries({}, optional=flags).map(lambda given: list(given.values()))


ROWS = st.one_of(dialogues(most=4), damaged(dialogues(most=3)), json_values())
SCRIPTS = st.one_of(
    st.lists(st.builds(lambda name, text: f"{name}: {text}", names(), texts()), max_size=5),
    ROWS.map(json_lines),
    ROWS.map(lambda value: [json_text(value)]),
)
PREDICT = optional(
    batch_size=NUMBERS,
    dtype=st.sampled_from(["float32", "bfloat16", "x"]),
    engine=st.sampled_from(["torch", "onnx"]),
)


@given(file_bytes(SCRIPTS), PREDICT, st.one_of(st.just("-"), PATHS), st.one_of(st.none(), PATHS))
def test_predict(
    checkpoint: Path, folder: Path, raw: bytes, options: list[str], source: str, model: str | None
) -> None:
    chosen = str(checkpoint) if model is None else model
    answer = command("predict", f"--model={chosen}", *options, "--", source, stdin=raw)
    if answer.status == 0:
        rows = [json.loads(line) for line in answer.out.split("\n") if line]
        assert rows and [row["row"] for row in rows] == list(range(len(rows)))
        assert all(row["label"] in LABELS and "dialogue_id" in row and "turn" in row for row in rows)


CORPUS = st.lists(
    st.fixed_dictionaries(
        {"dialogue_id": st.sampled_from(["d1", "d2"]), "speaker": names(), "text": texts()},
        optional={"emotion": st.one_of(st.sampled_from(LABELS), texts())},
    ),
    min_size=1,
    max_size=4,
)


def write_corpus(folder: Path, splits: dict[str, Any]) -> Path:
    for old in folder.glob("*.jsonl"):
        old.unlink()
    for split, rows in splits.items():
        rows = [{**row, "dialogue_id": f"{split}{row['dialogue_id']}"} for row in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@given(
    st.fixed_dictionaries({}, optional={"train": CORPUS, "validation": CORPUS, "test": CORPUS}),
    st.sampled_from(["test", "test", "validation", "tests", "\ud800"]),
    st.one_of(st.none(), st.none(), PATHS),
)
def test_evaluate(
    checkpoint: Path, folder: Path, splits: dict[str, Any], split: str, dataset: str | None
) -> None:
    chosen = str(write_corpus(folder, splits)) if dataset is None else dataset
    command("evaluate", f"--model={checkpoint}", f"--dataset={chosen}", f"--split={split}")


TRAIN = optional(
    preset=st.one_of(st.sampled_from(sorted(PRESETS)), WORDS),
    backbone=PATHS,
    seed=NUMBERS,
    epochs=NUMBERS,
    batch_size=NUMBERS,
    learning_rate=NUMBERS,
    memory_window=NUMBERS,
    context_window=NUMBERS,
    readout_layer=NUMBERS,
    head_members=NUMBERS,
    head_dropout=NUMBERS,
    context_dropout=NUMBERS,
    label_smoothing=NUMBERS,
    early_stopping=NUMBERS,
    lora_rank=NUMBERS,
    class_weighting=WORDS,
    logit_adjustment=WORDS,
    context_module=st.one_of(st.sampled_from(["none", "ket", "dag_erc"]), WORDS),
    gradient_accumulation=NUMBERS,
    concepts=PATHS,
    affect=PATHS,
)


def ready(*_: Any, **__: Any) -> None:
    raise EmoNetError("the trainer is ready")


@given(
    TRAIN,
    st.one_of(st.none(), st.none(), PATHS),
    st.fixed_dictionaries({}, optional={"train": CORPUS, "validation": CORPUS}),
)
def test_train(
    backbone: Path, folder: Path, options: list[str], dataset: str | None, splits: dict[str, Any]
) -> None:
    """Everything before the first training step; test_kills.py has the steps."""
    chosen = str(write_corpus(folder, splits)) if dataset is None else dataset
    words = [
        f"--backbone={backbone}",
        "--preset=context",
        f"--dataset={chosen}",
        f"--output-dir={folder / 'run'}",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmoNetTrainer, "train", ready)
        command("train", *words, *options)


PREDICTED = st.lists(
    st.fixed_dictionaries(
        {
            "dialogue_id": st.sampled_from(["a", "b"]),
            "turn": st.integers(0, 3),
            "emotion": st.sampled_from([*LABELS[:3], None]),
            "predicted": st.sampled_from(LABELS[:3]),
        },
        optional={
            "speaker": names(),
            "text": texts(),
            "scores": st.fixed_dictionaries({label: st.floats(0, 1) for label in LABELS}),
        },
    ),
    max_size=4,
    unique_by=lambda row: (row["dialogue_id"], row["turn"]),
)
PREDICTIONS = file_bytes(st.one_of(PREDICTED, damaged(PREDICTED), json_values()).map(json_lines))
COMPARE = optional(
    metric=st.sampled_from(["weighted_f1", "accuracy", "x"]),
    resamples=st.sampled_from(["10", "0", "-1", "x", "20"]),
    limit=NUMBERS,
    split=st.sampled_from(["test", "validation", "x"]),
)


@given(
    PREDICTIONS,
    st.one_of(st.none(), PREDICTIONS),
    st.one_of(st.none(), json_values()),
    COMPARE,
    st.one_of(st.none(), PATHS),
)
def test_compare(
    folder: Path, first: bytes, second: bytes | None, run: Any, options: list[str], other: str | None
) -> None:
    run_dir = folder / "seed-1"
    run_dir.mkdir(exist_ok=True)
    (run_dir / "a.jsonl").write_bytes(first)
    (run_dir / "b.jsonl").write_bytes(first if second is None else second)
    (run_dir / "run.json").write_text(json.dumps(run if run is not None else {"seed": 1}))
    command(
        "compare",
        *options,
        "--resamples=20",
        "--",
        str(run_dir / "a.jsonl"),
        str(run_dir / "b.jsonl") if other is None else other,
    )


STUDIES = [json.loads(path.read_text()) for path in sorted(studies.DEFINITIONS.glob("*.json"))[:2]]


@given(
    st.one_of(damaged(st.sampled_from(STUDIES)), json_values()),
    optional(jobs=NUMBERS, only=WORDS, fresh=WORDS),
)
def test_study(folder: Path, study: Any, options: list[str]) -> None:
    """A study file, and the report of a study without results."""
    (folder / "study.json").write_text(json.dumps(study))
    command(
        "study", str(folder / "study.json"), f"--output-dir={folder / 'results'}", "--report-only", *options
    )


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with FakeHub() as hub, hub.here(tmp_path_factory.mktemp("hub")):
        yield hub


REPOSITORIES = st.one_of(
    st.just(f"{USER}/tiny"), st.sampled_from(["../x", "user/..", "a/b/c", "", "--", "user/\u00e4"]), WORDS
)


@pytest.mark.slow
@given(
    REPOSITORIES,
    optional(revision=st.one_of(st.just("main"), WORDS)),
    st.one_of(st.none(), PATHS),
    st.sampled_from(
        ["run.json", "metrics.json", "test_metrics.json", "config.json", "speakers.json", "README.md"]
    ),
    json_values(),
)
def test_push(
    hub: FakeHub,
    checkpoint: Path,
    folder: Path,
    repo_id: str,
    options: list[str],
    model: str | None,
    name: str,
    content: Any,
) -> None:
    run = folder / "pushed"
    if not run.is_dir():
        run.mkdir()
        for file in checkpoint.iterdir():
            (run / file.name).symlink_to(file)
    target, before = run / name, (checkpoint / name).read_bytes() if (checkpoint / name).is_file() else None
    target.unlink(missing_ok=True)
    target.write_text(json.dumps(content))
    try:
        command("push", f"--model={run if model is None else model}", f"--repo-id={repo_id}", *options)
    finally:
        target.unlink()
        if before is not None:
            target.write_bytes(before)
        for written in ("README.md", "requirements.txt", "handler.py"):
            (run / written).unlink(missing_ok=True)
            (run / written).write_bytes((checkpoint / written).read_bytes())


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["predict", "train", "--model", "x", "--help", "--version", "speakers", "show"]),
            WORDS,
        ),
        max_size=5,
    )
)
def test_any_arguments(words: list[str]) -> None:
    command(*words)
