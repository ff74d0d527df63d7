"""A training writes its record and its card."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from run_folder import percent, tables
from tiny_training import encoded, trainer_for

from emonet.checkpoint.run_record import measured_emissions


def trained(tokenizer: Any, folder: Path, **arguments: Any) -> Any:
    trainer = trainer_for(encoded(tokenizer), folder, eval_strategy="epoch", num_train_epochs=3, **arguments)
    trainer.args.hub_token = "hf_" + "s" * 30
    trainer.args.run_name = trainer.args.resume_from_checkpoint = str(folder / "elsewhere")
    trainer.train()
    return trainer


def test_a_trainer_leaves_a_card_with_its_history(tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "machine" / "run"
    trainer = trained(tokenizer, folder, learning_rate=0.01, max_grad_norm=0.5)
    card = (folder / "README.md").read_text("utf-8")
    rows = next(rows for rows in tables(card) if rows[0][0] == "epoch")
    log = trainer.state.log_history
    scores = [entry["eval_weighted_f1"] for entry in log if "eval_weighted_f1" in entry]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    column = rows[0].index("weighted F1")
    assert [row[column].strip("*") for row in rows[2:]] == [percent(round(score, 4)) for score in scores]
    assert [float(row[1].strip("*")) for row in rows[2:]] == pytest.approx(losses, abs=1e-4)
    bold = [number for number, row in enumerate(rows[2:]) if row[0].startswith("**")]
    assert bold == [scores.index(max(scores))]
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert record["training"]["max_grad_norm"] == 0.5 and record["seed"] == trainer.args.seed
    for text in (card, (folder / "run.json").read_text("utf-8")):
        assert (
            str(tmp_path) not in text
            and "machine" not in text
            and "hf_s" not in text
            and "elsewhere" not in text
        )
        assert socket.gethostname() not in text and str(Path.home()) + "/" not in text


def test_an_evaluation_after_training_is_no_part_of_its_history(tokenizer: Any, tmp_path: Path) -> None:
    trainer = trained(tokenizer, tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_text("utf-8")
    trainer.evaluate(trainer.train_dataset)
    assert (tmp_path / "run" / "run.json").read_text("utf-8") == before


def test_an_evaluation_alone_writes_nothing(tokenizer: Any, tmp_path: Path) -> None:
    trainer_for(encoded(tokenizer), tmp_path / "run", eval_strategy="epoch").evaluate()
    assert not (tmp_path / "run" / "README.md").exists()


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (
            {
                "metric_for_best_model": "loss",
                "greater_is_better": False,
                "save_strategy": "epoch",
                "load_best_model_at_end": True,
            },
            "lowest loss",
        ),
        ({"save_strategy": "epoch", "load_best_model_at_end": False}, "last"),
    ],
)
def test_the_bold_row_is_the_one_that_is_saved(
    tokenizer: Any, tmp_path: Path, arguments: Any, kept: str
) -> None:
    trainer = trained(tokenizer, tmp_path / "run", learning_rate=0.01, **arguments)
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    rows = next(
        rows for rows in tables((tmp_path / "run" / "README.md").read_text("utf-8")) if rows[0][0] == "epoch"
    )
    bold = [number for number, row in enumerate(rows[2:]) if row[0].startswith("**")]
    assert bold == [losses.index(min(losses)) if kept == "lowest loss" else 2]


@pytest.mark.parametrize(("longitude", "location"), [("", None), ("-71.2", "Canada")])
def test_emissions_have_the_location_that_was_found(
    tmp_path: Path, longitude: str, location: str | None
) -> None:
    assert measured_emissions(tmp_path) == {}
    (tmp_path / "emissions.csv").write_text(
        f"emissions,codecarbon_version,country_name,longitude\n0.00125,3.3.2,Canada,{longitude}\n"
    )
    measured = measured_emissions(tmp_path)["co2_eq_emissions"]
    assert measured["emissions"] == 1.25 and measured["source"] == "codecarbon 3.3.2"
    assert measured.get("geographical_location") == location
