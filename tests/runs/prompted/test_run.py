"""The commands on a prompted preset: runs, parts switched off, studies."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from tiny import DIALOGUE
from tiny_prompted import LETTERS, load
from tiny_store import TinyEmbedder
from tiny_study import run_study

from emonet.benchmarks.language_cases import lm_packed, lm_prompt_packing, lm_prompted
from emonet.cli.main import main
from emonet.errors import EmoNetError
from emonet.evaluation.predictions import read_predictions
from emonet.prompted.configuration import PromptSettings
from emonet.runs.prompted.family import train_prompted
from emonet.speakers.biographies.choose import MemoryStore, biographer_for
from emonet.speakers.biographies.extractive import ExtractiveBiographer
from emonet.speakers.store.build import build_store
from emonet.speakers.store.queries import View
from emonet.studies.study import read_study

FLAGS = [
    "--epochs",
    "1",
    "--lora-rank",
    "2",
    "--prompt-window",
    "2",
    "--trajectory",
    "2",
    "--biography-budget",
    "20",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus as files."""
    path = tmp_path_factory.mktemp("corpus")
    load(path)
    return path


@pytest.fixture(scope="module")
def run(folder: Path, decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder that the command wrote."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert train(folder, decoder, path) == 0
    return path


def train(folder: Path, decoder: Path, output: Path, *flags: str) -> int:
    words = ["train", "--dataset", str(folder), "--preset", "emonet-lm-prompted", "--backbone", str(decoder)]
    return main([*words, *FLAGS, *flags, "--output-dir", str(output)])


def test_training_leaves_a_whole_run_folder(run: Path, decoder: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "run.json",
        "metrics.json",
        "predictions.jsonl",
        "confusion_matrix.png",
        "learning_curves.png",
        "README.md",
    }
    assert names >= {"config.json", "model.safetensors", "speakers.json", "biographies.json", "adapter"} - {
        "checkpoints"
    }
    record = json.loads((run / "run.json").read_text())
    assert (
        record["preset"] == "emonet-lm-prompted"
        and record["config"]["trajectory"] == 2
        and record["config"]["window"] == 2
    )
    assert (
        record["training"]["lora_rank"] == 2
        and record["training_turns"] == 7
        and record["epochs"][0]["epoch"] == 1
    )
    assert json.loads((run / "metrics.json").read_text())["split"] == "validation"
    known = json.loads((run / "biographies.json").read_text())["biographies"]
    assert set(known) == {"Ann", "Bob", "Cat"} and known["Bob"]["utterances"] == ["d1#1", "d2#2"]
    assert "| extractive | emonet |" in (run / "README.md").read_text()
    assert str(decoder.parent) not in (run / "config.json").read_text()


def test_validations_figures_are_what_evaluate_gives(folder: Path, decoder: Path, tmp_path: Path) -> None:
    assert (
        train(
            folder, decoder, tmp_path / "run", "--own-share", "1", "--epochs", "3", "--learning-rate", "1e-2"
        )
        == 0
    )
    words = ["evaluate", "--model", str(tmp_path / "run"), "--dataset", str(folder), "--split", "validation"]
    assert main([*words, "--predictions", str(tmp_path / "rows.jsonl")]) == 0
    ours, theirs = (
        read_predictions(tmp_path / "rows.jsonl"),
        read_predictions(tmp_path / "run" / "predictions.jsonl"),
    )
    assert [row["scores"] for row in ours] == [pytest.approx(row["scores"], abs=1e-5) for row in theirs]


def test_evaluate_and_predict_take_it(run: Path, folder: Path, tmp_path: Path, capsys: Any) -> None:
    words = [
        "evaluate",
        "--model",
        str(run),
        "--dataset",
        str(folder),
        "--predictions",
        str(tmp_path / "rows.jsonl"),
    ]
    assert main([*words, "--json", str(tmp_path / "test.json")]) == 0
    figures = json.loads((tmp_path / "test.json").read_text())
    assert figures["split"] == "test" and figures["n"] == 2 and figures["causal"] and "ece" in figures
    assert 0 < figures["tokens"]["computed"] <= figures["tokens"]["prompts"]
    assert (run / "test_metrics.json").is_file()
    rows = read_predictions(tmp_path / "rows.jsonl")
    assert [row["speaker"] for row in rows] == ["Bob", "O'Hara"] and set(rows[0]["scores"]) == set(LETTERS)
    script = "".join(f"{turn['speaker']}: {turn['text']}\n" for turn in DIALOGUE)
    (tmp_path / "script.txt").write_text(script)
    capsys.readouterr()
    assert main(["predict", "--model", str(run), str(tmp_path / "script.txt")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(DIALOGUE) and list(lines[0]) == [
        "row",
        "dialogue_id",
        "turn",
        "speaker",
        "text",
        "label",
        "score",
        "scores",
    ]


def test_what_sees_later_turns_is_asked_for_and_named_in_every_result(
    folder: Path, decoder: Path, chat_model: Path, tmp_path: Path, capsys: Any
) -> None:
    run, writer = tmp_path / "run", ["--biography-writer", str(chat_model), "--biography-budget", "8"]
    words = [
        "train",
        "--dataset",
        str(folder),
        "--preset",
        "bioserc",
        "--backbone",
        str(decoder),
        *writer,
        "--epochs",
        "1",
    ]
    assert main([*words, "--non-causal", "--output-dir", str(run)]) == 0
    prompts = json.loads((run / "config.json").read_text())["prompts"]
    assert prompts["future_window"] == 5 and prompts["biography_of_dialogue"]
    assert json.loads((run / "biographies.json").read_text())["annotator"].startswith("chat-")
    assert (
        main(
            ["evaluate", "--model", str(run), "--dataset", str(folder), "--json", str(tmp_path / "test.json")]
        )
        == 0
    )
    assert json.loads((tmp_path / "test.json").read_text())["causal"] is False
    (tmp_path / "script.txt").write_text("Ann: no\nBob: yes\n")
    capsys.readouterr()
    assert main(["predict", "--model", str(run), str(tmp_path / "script.txt")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_parts_of_the_prompt_are_switched_off(folder: Path, decoder: Path, tmp_path: Path) -> None:
    off = ["--no-biography", "--trajectory", "0", "--anonymous", "--class-weighting", "none"]
    assert train(folder, decoder, tmp_path / "run", *off) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["class_weights"] is None and not (tmp_path / "run" / "biographies.json").exists()
    assert {name: config["prompts"][name] for name in ("biography", "trajectory", "anonymous")} == {
        "biography": False,
        "trajectory": 0,
        "anonymous": True,
    }


@pytest.mark.parametrize(
    ("preset", "flags", "message"),
    [
        ("emonet-lm-prompted", ["--speaker-memory", "none"], "A prompt has no setting 'speaker_memory'"),
        ("emonet-lm-prompted", ["--head-epochs", "2"], "no head of its own"),
        ("emonet-lm-prompted", ["--store", "nowhere"], "no speaker store"),
        (
            "emonet-lm",
            ["--trajectory", "3"],
            "'emonet-lm' takes no trajectory, which is for prompted presets",
        ),
        ("emonet-lm", ["--own-share", "0.5"], "'emonet-lm' takes no own_share"),
        ("emonet-lm", ["--load-in-4bit"], "'emonet-lm' takes no load_in_4bit"),
        ("emonet-lm", ["--first-stage", "speakers"], "'emonet-lm' takes no first_stage"),
        ("laerc-s", ["--first-stage", "oMood"], "'oMood' is not one of"),
        ("instructerc", ["--non-causal"], "no form that sees later turns"),
    ],
)
def test_flags_that_would_not_be_read_are_refused(
    preset: str,
    flags: list[str],
    message: str,
    folder: Path,
    decoder: Path,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where the store that is not there would be looked for
    words = ["train", "--dataset", str(folder), "--preset", preset, "--backbone", str(decoder), *flags]
    assert main([*words, "--output-dir", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_four_bits_where_they_do_not_run_are_a_clear_error(
    run: Path, folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    (tmp_path / "script.txt").write_text("Ann: no\n")
    for words in (
        ["evaluate", "--model", str(run), "--dataset", str(folder), "--load-in-4bit"],
        ["predict", "--model", str(run), "--load-in-4bit", str(tmp_path / "script.txt")],
    ):
        assert main(words) == 2
        assert "pip install 'emonet[4bit]'" in capsys.readouterr().err
    assert (
        main(
            [
                "predict",
                "--model",
                str(run),
                "--engine",
                "datasets",
                "--load-in-4bit",
                "a.jsonl",
                "--output",
                "o",
            ]
        )
        == 2
    )
    assert "for the torch engine" in capsys.readouterr().err


def test_four_bits_train_adapters_and_leave_whole_weights(
    folder: Path, tokenizer: Any, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    from tiny import text_config
    from transformers import LlamaForCausalLM

    from emonet.engines.load import load_engine

    decoder = tmp_path / "wide"  # bitsandbytes packs 64 weights at a time
    LlamaForCausalLM(text_config("llama", hidden_size=64, intermediate_size=128)).save_pretrained(decoder)
    tokenizer.save_pretrained(decoder)
    assert train(folder, decoder, tmp_path / "run", "--load-in-4bit") == 0
    whole, _ = load_engine(tmp_path / "run")
    assert type(whole.language_model.model.layers[0].mlp.up_proj).__name__ == "Linear"
    adapted = type(whole).from_pretrained(tmp_path / "run" / "adapter", backbone_path=str(decoder))
    turns = [{"speaker": "Ann", "text": "great news"}]
    assert adapted.predict(turns)[0]["scores"] == pytest.approx(whole.predict(turns)[0]["scores"], abs=1e-5)
    small, _ = load_engine(tmp_path / "run", load_in_4bit=True)
    assert type(small.language_model.model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    assert small.predict(turns)[0]["scores"] != whole.predict(turns)[0]["scores"]


def test_a_study_has_rows_without_each_part(folder: Path, decoder: Path, tmp_path: Path) -> None:
    study = {
        "name": "prompted",
        "datasets": [{"name": str(folder)}],
        "backbone": str(decoder),
        "seeds": [1],
        "reference": "whole",
        "defaults": {
            "preset": "emonet-lm-prompted",
            "config": {"window": 1, "biography_budget": 20},
            "training": {"num_train_epochs": 1, "lora_rank": 2},
        },
        "rows": {
            "whole": {},
            "no biography": {"config": {"biography": False}},
            "no trajectory": {"config": {"trajectory": 0}},
            "no weights": {"training": {"class_weighting": "none"}},
            "anonymous": {"config": {"anonymous": True}, "training": {"own_share": 0.0}},
        },
    }
    run_study(study, tmp_path / "results", "--only", "*/whole/*", "--only", "*/anonymous/*")
    cells = pq.read_table(tmp_path / "results" / "cells.parquet").to_pylist()
    configs = {cell["cell"]: json.loads(cell["run.cell"])["config"] for cell in cells}
    assert {name.split("/")[1]: config["anonymous"] for name, config in configs.items()} == {
        "anonymous": True,
        "whole": False,
    }
    study["rows"]["wrong"] = {"config": {"pooling": "mean"}}
    (tmp_path / "study.json").write_text(json.dumps(study))
    with pytest.raises(EmoNetError, match="rows, 'wrong', config: unknown key 'pooling'"):
        read_study(tmp_path / "study.json")


def test_the_cost_of_a_turn_is_counted_for_both_read_outs(folder: Path, decoder: Path) -> None:
    packed, asked = lm_packed(folder, str(decoder)), lm_prompted(folder, str(decoder))
    assert packed["turns"] == asked["turns"] == 7
    assert packed["tokens"] < asked["tokens"] < asked["prompt_tokens"] and asked["cpu_seconds"] > 0


def test_packed_prompts_are_compared_with_whole_ones(folder: Path, decoder: Path) -> None:
    figures = lm_prompt_packing(folder, str(decoder))
    assert figures["turns"] == 7 and figures["packed_training_seconds"] > 0
    for job in ("training", "prediction"):
        assert figures[f"packed_{job}_tokens"] < 0.7 * figures[f"one_{job}_tokens"]


# -- the speaker store behind the biographies
# ------------------------------------------------------------------------------------


def test_biographies_from_a_store_are_those_from_memory_and_leave_out_the_forgotten(tmp_path: Path) -> None:
    from emonet.speakers.store.forget import forget_speaker

    conversations = load(tmp_path / "corpus")
    store = build_store(tmp_path / "store", conversations, TinyEmbedder())
    kept, memory = ExtractiveBiographer(store), ExtractiveBiographer(MemoryStore(conversations))
    for name in ("Ann", "Bob", "O'Hara"):
        for view in (View("train"), View("validation", 8), View("test")):
            assert (
                kept(name, view).text == memory(name, view).text
                and kept(name, view).utterances == memory(name, view).utterances
            )
    forget_speaker(tmp_path / "store", "Ann")
    again = biographer_for(PromptSettings(biography=True), conversations, tmp_path / "store")
    assert again is not None and again("Ann", View("train")).text == "" and again("Bob", View("train")).text


@pytest.mark.parametrize(
    ("state", "message"), [("deleted", "emonet speakers build"), ("locked", "another process is writing")]
)
def test_a_store_that_is_gone_or_locked_ends_a_run_before_it_trains(
    state: str, message: str, decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = load(tmp_path / "corpus")
    build_store(tmp_path / "store", conversations, TinyEmbedder())
    settings = PromptSettings(biography=True)
    biographer = biographer_for(settings, conversations, tmp_path / "store")
    monkeypatch.setattr("emonet.speakers.store.tables.StoreTables.writing.__wrapped__.__defaults__", (0.1,))
    monkeypatch.setattr(
        "emonet.runs.prompted.trainer.PromptedTrainer.train", lambda *_, **__: pytest.fail("it trained")
    )
    lock = FileLock(tmp_path / "store" / ".lock")
    if state == "deleted":
        shutil.rmtree(tmp_path / "store")
    else:
        lock.acquire()
    try:
        with pytest.raises(EmoNetError, match=message):
            train_prompted(
                conversations, str(decoder), tmp_path / "run", settings, biographer=biographer, use_cpu=True
            )
    finally:
        lock.release()
