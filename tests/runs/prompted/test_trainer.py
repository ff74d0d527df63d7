"""Prompted training: no validation or test label enters any input."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_prompted import LETTERS
from tiny_prompted import load as load_letters
from tiny_store import TEST, VALIDATION, TinyEmbedder

from emonet.adapters.lora import LoraSettings
from emonet.prompted.modeling import PromptedEmoNet
from emonet.prompted.prompts import PromptSettings
from emonet.runs.prompted.family import train_prompted
from emonet.runs.prompted.trainer import PromptedSplit, predict_split
from emonet.runs.prompted.trajectory import EmotionRecord
from emonet.speakers.biographies.extractive import ExtractiveBiographer
from emonet.speakers.store.build import build_store

SETTINGS = PromptSettings(window=2, trajectory=3, biography=True)
MORE = [("d3", [*VALIDATION[0][1], ("Ann", "again a comet", "Mad")])]


def load(folder: Path, validation: Any = MORE, test: Any = TEST) -> Any:
    return load_letters(folder, validation, test)


@pytest.fixture
def model(decoder: Path) -> PromptedEmoNet:
    return PromptedEmoNet.from_backbone(str(decoder), LETTERS, SETTINGS)


def record_of(conversations: Any) -> EmotionRecord:
    return EmotionRecord(conversations["train"], conversations.utterance_texts(), conversations.labels)


def test_a_training_turn_is_told_by_its_label_and_another_by_the_prediction(tmp_path: Path) -> None:
    conversations = load(tmp_path)
    record = record_of(conversations)
    (turns,) = [row["turns"] for row in conversations["validation"]]
    before = record.trajectory(turns[2])
    assert [(line.text, line.emotion) for line in before][:2] == [
        ("the comet telescope is mine", "a"),
        ("i saw the comet again", "a"),
    ]
    assert all(line.text != "validation comet secret" for line in before), "not labelled by anybody yet"
    record.add_prediction(turns[0]["utterance_index"], 3)
    assert (
        record.trajectory(turns[2])[-1].emotion == "d"
        and record.trajectory(turns[2])[-1].text == "validation comet secret"
    )


def test_scheduled_predictions_replace_labels_of_training_turns_only_as_far_as_they_are_there(
    tmp_path: Path,
) -> None:
    conversations = load(tmp_path)
    record = record_of(conversations)
    turn = conversations["train"][1]["turns"][1]  # Ann's third line
    gold = [line.emotion for line in record.trajectory(turn)]
    record.own_share = 1.0
    assert [line.emotion for line in record.trajectory(turn, scheduled=True)] == gold
    for index in turn["speaker_history_index"]:
        record.add_prediction(index, 6)
    assert [line.emotion for line in record.trajectory(turn, scheduled=True)] == ["g"] * len(gold)
    assert [line.emotion for line in record.trajectory(turn)] == gold, "evaluation must use labels"
    record.own_share = 0.0
    assert [line.emotion for line in record.trajectory(turn, scheduled=True)] == gold


def test_prompts_of_training_turns_alone_hold_scheduled_predictions(
    model: PromptedEmoNet, tmp_path: Path
) -> None:
    conversations = load(tmp_path)
    record = record_of(conversations)
    splits = [PromptedSplit(name, conversations[name], model, record) for name in ("train", "validation")]
    before = [[split.prompt(*turn) for turn in split.turns] for split in splits]
    record.own_share = 1.0
    for row in conversations["train"]:
        for turn in row["turns"]:
            record.add_prediction(turn["utterance_index"], 6)
    after = [[split.prompt(*turn) for turn in split.turns] for split in splits]
    assert after[0] != before[0] and after[1] == before[1]


def prompts_of(model: PromptedEmoNet, conversations: Any, folder: Path) -> dict[str, list[list[int]]]:
    """Every prompt of every split, as training and evaluation see them, predictions
    included.
    """
    record = record_of(conversations)
    biographer = ExtractiveBiographer(build_store(folder, conversations, TinyEmbedder()))
    prompts = {}
    for name in ("train", "validation", "test"):
        split = PromptedSplit(name, conversations[name], model, record, biographer)
        predict_split(model, split)
        prompts[name] = [split.prompt(*turn) for turn in split.turns]
    return prompts


def test_no_label_of_validation_or_test_enters_any_input(model: PromptedEmoNet, tmp_path: Path) -> None:
    def other(dialogues: Any) -> Any:
        return [
            (name, [(speaker, text, "Neutral") for speaker, text, _ in turns]) for name, turns in dialogues
        ]

    as_it_is = prompts_of(model, load(tmp_path / "a"), tmp_path / "store-a")
    changed = load(tmp_path / "b", validation=other(MORE), test=other(TEST))
    assert len(as_it_is["validation"]) == 3 and prompts_of(model, changed, tmp_path / "store-b") == as_it_is


def test_a_training_turns_own_label_and_later_ones_are_not_in_its_prompt(
    model: PromptedEmoNet, tmp_path: Path
) -> None:
    conversations = load(tmp_path / "a")
    split = PromptedSplit("train", conversations["train"], model, record_of(conversations))
    rows = deepcopy(list(conversations["train"]))
    for turn in rows[1]["turns"]:
        turn["emotion"] = 6
    other = EmotionRecord(rows, conversations.utterance_texts(), conversations.labels)
    again = PromptedSplit("train", rows, model, other)
    assert [split.prompt(*turn) for turn in split.turns] == [again.prompt(*turn) for turn in again.turns]


def test_training_lowers_the_loss_and_writes_a_model_that_scores_the_same(
    decoder: Path, tmp_path: Path
) -> None:
    conversations = load(tmp_path / "corpus")
    model = train_prompted(
        conversations,
        str(decoder),
        tmp_path / "run",
        SETTINGS,
        lora=LoraSettings(4, dropout=0.0),
        num_train_epochs=6,
        learning_rate=2e-2,
        per_device_train_batch_size=4,
        use_cpu=True,
        progress=False,
    )
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    losses = [row["train_loss"] for row in record["epochs"]]
    assert losses[-1] < losses[0] and record["trainable_parameters"] < 0.5 * record["parameters"]
    assert len(model.config.class_weights) == len(model.labels) and max(model.config.class_weights) > 1
    again = PromptedEmoNet.from_pretrained(tmp_path / "run")
    scores = []
    for each in (model, again):
        split = PromptedSplit("validation", conversations["validation"], each, record_of(conversations))
        scores.append(predict_split(each, split)[0])
    assert np.allclose(scores[0], scores[1], atol=1e-4)
