"""The card of a model that was fine-tuned without emonet installed."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from run_folder import fill
from tiny import LABEL_MAPS

from emonet.configuration_emonet import EmoNetConfig
from emonet.fine_tuning.carried_card import carried_card
from emonet.hub.card import card_text, merge_card

CONFIG = EmoNetConfig(id2label={0: "down", 1: "up"}, dataset_version="mine-01234567")
FIGURES = {"eval_loss": 0.4, "eval_weighted_f1": 0.625, "epoch": 3.0}


@pytest.fixture
def card(tmp_path: Path) -> str:
    return card_text(fill(tmp_path / "run"), "user/old")


def test_nothing_of_the_old_model_is_claimed_of_the_new_one(card: str) -> None:
    new = carried_card(card + "\nMy own words.", "user/old", "user/new", CONFIG, FIGURES)
    assert new is not None
    data = ModelCard(new).data.to_dict()
    assert data["base_model"] == "user/old" and data["license"] == "other"
    assert data["pipeline_tag"] == "text-classification" and "emonet" in data["tags"]
    assert not {"model-index", "widget", "datasets", "language"} & set(data)
    assert "| weighted F1 | 62.50 |" in new and "after epoch 3" in new and "`mine-01234567`" in new
    assert 'model="user/new"' in new and "user/old" in new and '"user/old"' not in new
    assert "- **Labels:** down, up" in new and not any(name in new for name in LABEL_MAPS["label2id"])
    assert "## Limits and biases" in new and "bibtex" in new and new.endswith("My own words.")


def test_a_push_with_emonet_updates_its_parts(card: str, tmp_path: Path) -> None:
    new = carried_card(card, "user/old", "user/new", CONFIG, {})
    assert new is not None and "evaluation data" not in new
    assert "Fine-tuned by" not in merge_card(new, card)


def test_a_card_of_other_words_is_not_carried() -> None:
    assert carried_card("# Mine\n", "user/old", "user/new", CONFIG, {}) is None
