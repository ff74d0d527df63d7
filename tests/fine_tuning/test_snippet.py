"""The card's fine-tuning lines, run on a saved repository without emonet."""

import csv
from pathlib import Path
from typing import Any

import pytest
from fake_hub import USER, FakeHub
from tiny import build
from without_emonet import run_without_emonet

from emonet.hub.snippets import fine_tune_snippet
from emonet.modeling_emonet import EmoNetForSequenceClassification

FACTS = """
import os
trainer.push_to_hub()
from transformers import AutoModelForSequenceClassification as Auto
saved = Auto.from_pretrained("fine-tuned", trust_remote_code=True)
report(dict(
    labels=model.config.label_names,
    weights=model.config.class_weights,
    turns={name: len(split.labels()) for name, split in data.items()},
    windows={name: len(split) for name, split in data.items()},
    losses=[entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
    f1=[entry["eval_weighted_f1"] for entry in trainer.state.log_history if "eval_loss" in entry],
    predicted=[turn["label"] for turn in saved.predict("Ann: great we won\\nZed: leave me alone")],
    files=os.listdir("fine-tuned"),
    checkpoint=os.listdir(f"fine-tuned/checkpoint-{trainer.state.global_step}"),
))
"""
SAVED = {"modeling_emonet.py", "speakers.json", "tokenizer.json", "config.json", "handler.py"}


def write_split(folder: Path, name: str, dialogues: int) -> None:
    with (folder / f"{name}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["dialogue_id", "speaker", "text", "emotion"])
        for dialogue in range(dialogues):
            for turn in range(12):
                cheers = (turn + dialogue) % 3 != 0
                text, label = ("great we won", "up") if cheers else ("leave me alone", "down")
                rows.writerow([f"{name} {dialogue}", ("Ann", "Zed")[turn % 2], text, label if turn else ""])


def test_the_snippet_has_twelve_lines_at_most() -> None:
    for frozen in (False, True):
        lines = fine_tune_snippet("user/name", frozen).splitlines()
        assert len([line for line in lines if line.strip()]) <= 12
        compile("\n".join(lines), "card", "exec")


@pytest.mark.slow
def test_the_snippet_trains_without_emonet(tokenizer: Any, tmp_path: Path) -> None:
    # Windows of 40 tokens: a dialogue is longer.
    model, model.processor = build(tokenizer, "emonet-thesis", backbone={"max_position_embeddings": 40})
    model.save_pretrained(tmp_path / "run")
    write_split(tmp_path, "train", 24)
    write_split(tmp_path, "validation", 4)
    code = fine_tune_snippet("run", frozen=False).replace("5e-5", "3e-3, logging_steps=3")
    with FakeHub() as hub:
        found = run_without_emonet(code + FACTS, tmp_path, **hub.environment)
        pushed = hub.files(f"{USER}/fine-tuned")
    assert found["labels"] == ["down", "up"] and found["predicted"] == ["up", "down"]
    assert found["turns"] == {"train": 24 * 12, "validation": 4 * 12}
    assert found["windows"]["train"] > 24
    down, up = found["weights"]
    assert down > 1 > up
    assert found["losses"][-1] < 0.5 * found["losses"][0] and found["f1"][-1] > 0.9
    assert set(found["files"]) >= SAVED and set(found["checkpoint"]) >= SAVED
    assert set(pushed) >= SAVED
    card = pushed["README.md"].decode()
    assert f'model="{USER}/fine-tuned"' in card and "- **Labels:** down, up" in card
    assert f"| weighted F1 | {100 * found['f1'][-1]:.2f} |" in card
    assert "## Limits and biases" in card and "generated_from_trainer" not in card
    again = EmoNetForSequenceClassification.from_pretrained(tmp_path / "fine-tuned")
    assert again.predict("great we won")[0]["label"] == "up"
