"""Characteristics of training turns, and what the first stage learns to write."""

from pathlib import Path
from typing import Any

import pytest
from tiny import DIALOGUE, LABELS

from emonet.errors import EmoNetError
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.prompts import PromptBuilder
from emonet.runs.prompted.characteristics import (
    CHARACTERISTICS,
    CharacteristicWriter,
    question_and_beginning,
    shortened,
)
from emonet.speakers.biographies.annotator import Annotator


def builder(tokenizer: Any, **settings: Any) -> PromptBuilder:
    return PromptBuilder(tokenizer, LABELS, PromptSettings(window=2, **settings), 4000, ["Ann", "Bob"])


@pytest.mark.parametrize("kind", CHARACTERISTICS)
def test_it_is_asked_of_a_turn_and_its_past_alone(tokenizer: Any, kind: str) -> None:
    question, beginning = question_and_beginning(builder(tokenizer), DIALOGUE, 2, kind)
    assert '"hello there how are you"' in question and '"that is wonderful news"' in question.split("###")[-1]
    assert "leave me alone" not in question and not any(label in question for label in LABELS)
    changed = [*({**turn, "emotion": "Mad"} for turn in DIALOGUE[:3]), {"speaker": "Zed", "text": "later"}]
    assert question_and_beginning(builder(tokenizer), changed, 2, kind) == (question, beginning)
    assert ("Ann" in beginning) == kind.startswith("x") and ("The listeners" in beginning) == kind.startswith(
        "o"
    )


def test_anonymous_questions_hold_no_name(tokenizer: Any) -> None:
    question, beginning = question_and_beginning(builder(tokenizer, anonymous=True), DIALOGUE, 2, "xIntent")
    assert "Ann" not in question + beginning and "Bob" not in question and beginning == "Person 1 wants to"


def test_an_annotation_says_what_it_was_made_from_and_stage_1_learns_its_text(
    tokenizer: Any, chat_model: Path, tmp_path: Path
) -> None:
    annotator = Annotator(str(chat_model), tmp_path)
    writer = CharacteristicWriter(annotator, builder(tokenizer), ["oReact", "xIntent"])
    row = {"dialogue_id": "d7", "turns": DIALOGUE}
    annotation = writer.annotate(row, 3, "oReact")
    assert annotation.sources == ("d7#1", "d7#2", "d7#3") and annotation.kind == "oReact"
    examples = writer.examples([row])
    assert len(examples) == 2 * len(DIALOGUE) and annotator.written == len(examples)
    prompt, answer, _ = examples[6]
    assert answer == annotation.text and "How do those who listen react" in prompt and answer not in prompt
    assert writer.examples([row]) == examples and annotator.written == len(examples)


def test_it_is_a_sentence_of_ten_words_at_most() -> None:
    assert (
        shortened("The listeners are happy. They laugh.", "The listeners are") == "The listeners are happy."
    )
    assert shortened("Ann wants to " + "go " * 30, "Ann wants to") == "Ann wants to " + "go " * 9 + "go."
    assert shortened('Bob is 3.5 feet tall! "x"', "Bob is") == "Bob is 3.5 feet tall."
    assert shortened("Ann is", "Ann is") == "Ann is."
    assert shortened("Ann tells Dr. Farber. He nods", "Ann tells") == "Ann tells Dr. Farber."


def test_an_unknown_kind_is_refused(tokenizer: Any) -> None:
    with pytest.raises(EmoNetError, match="'oMood' is not one of xIntent"):
        CharacteristicWriter(None, builder(tokenizer), ["oMood"])  # type: ignore[arg-type]
