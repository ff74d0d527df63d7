"""The field's language models as presets: causal, trained and loaded again."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import DIALOGUE
from tiny_store import corpus

from emonet.errors import EmoNetError
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.demonstrations import DemonstrationBank
from emonet.prompted.modeling import PromptedEmoNet
from emonet.runs.prompted.family import train_prompted
from emonet.runs.prompted.presets import PROMPTED_PRESETS, preset_settings
from emonet.runs.prompted.tasks import TaskSettings
from emonet.runs.prompted.trainer import PromptedSplit
from emonet.runs.prompted.trajectory import EmotionRecord
from emonet.speakers.biographies.annotator import Annotator
from emonet.speakers.biographies.choose import biographer_for, dialogue_biographer
from emonet.speakers.biographies.of_dialogue import DialogueBiographer

pytestmark = pytest.mark.usefixtures("tiny_encoder")
FIELD = ("instructerc", "ckerc", "laerc-s", "bioserc")
LETTERS = ["a", "b", "c"]
TRAIN = [
    (
        "d1",
        [
            ("Ann", "the comet is mine", "a"),
            ("Bob", "nobody touches my sandwich", "b"),
            ("Ann", "a comet again", "a"),
        ],
    ),
    ("d2", [("Cat", "it is fine", "c"), ("Ann", "the telescope broke", "b"), ("Bob", "sorry Ann", "b")]),
]
VALIDATION = [
    ("d3", [("Ann", "comet secret", "c"), ("Bob", "who ate my sandwich", "b"), ("Ann", "not i", "a")])
]
TEST = [("d4", [("Bob", "test secret", "a")])]


def load(folder: Path, validation: Any = VALIDATION) -> Any:
    return corpus(folder, TRAIN, validation, TEST, labels=LETTERS)


def settings_of(preset: str, chat_model: Path, causal: bool = True) -> PromptSettings:
    """The preset's prompts, with the tiny model as writer of biographies."""
    fields = {"biography_writer": str(chat_model), "biography_budget": 12} if preset == "bioserc" else {}
    return PROMPTED_PRESETS[preset].prompts(causal, **fields)


def validation_prompts(
    preset: str, conversations: Any, decoder: Path, chat_model: Path, written: list[str], causal: bool
) -> Any:
    settings = settings_of(preset, chat_model, causal)
    model = PromptedEmoNet.from_backbone(str(decoder), LETTERS, settings)
    if settings.demonstrations:
        model.processor.demonstrations = DemonstrationBank.from_training(conversations["train"], LETTERS)
    record = EmotionRecord(conversations["train"], conversations.utterance_texts(), LETTERS)
    split = PromptedSplit(
        "validation", conversations["validation"], model, record, biographer_for(settings, conversations)
    )
    written.clear()
    for turn in split.turns:
        split.prompt(*turn)
    return list(written)


@pytest.mark.parametrize("preset", FIELD)
def test_a_later_turn_and_every_label_leave_earlier_prompts_as_they_are(
    preset: str, decoder: Path, chat_model: Path, tmp_path: Path, written: list[str]
) -> None:
    assert settings_of(preset, chat_model).causal
    later = [("d3", [(who, text, "b") for who, text, _ in VALIDATION[0][1][:2]] + [("Zed", "e f g", "b")])]
    prompts = [
        validation_prompts(
            preset, load(tmp_path / name, validation), decoder, chat_model, written, causal=True
        )
        for name, validation in (("as-it-is", VALIDATION), ("changed", later))
    ]
    assert prompts[0][:2] == prompts[1][:2] and prompts[0][2] != prompts[1][2]


def test_what_a_non_causal_form_sets_can_be_changed() -> None:
    settings = preset_settings("bioserc", {"causal": False, "future_window": 2})
    assert settings.future_window == 2 and settings.biography_of_dialogue and not settings.causal


def test_bioserc_sees_what_follows_where_causal_is_false_and_nobody_else_does(
    decoder: Path, chat_model: Path, tmp_path: Path, written: list[str]
) -> None:
    assert [name for name in PROMPTED_PRESETS if PROMPTED_PRESETS[name].non_causal is not None] == ["bioserc"]
    with pytest.raises(EmoNetError, match="no form that sees later turns"):
        PROMPTED_PRESETS["instructerc"].prompts(causal=False)
    assert not settings_of("bioserc", chat_model, causal=False).causal
    prompts = validation_prompts("bioserc", load(tmp_path), decoder, chat_model, written, causal=False)
    assert '"not i"' in prompts[0] and "About Ann: Ann is" in prompts[0]


@pytest.mark.parametrize(
    ("preset", "causal"),
    [
        *(
            pytest.param(name, True, marks=() if name == "laerc-s" else pytest.mark.slow)  # the rest is alike
            for name in FIELD
        ),
        ("bioserc", False),
    ],
)
def test_it_trains_end_to_end_and_is_whole_again_from_its_folder(
    preset: str, causal: bool, decoder: Path, chat_model: Path, tmp_path: Path
) -> None:
    conversations, settings = load(tmp_path / "corpus"), settings_of(preset, chat_model, causal)
    training = {**PROMPTED_PRESETS[preset].training, "num_train_epochs": 1, "annotator": str(chat_model)}
    model = train_prompted(
        conversations,
        str(decoder),
        tmp_path / "run",
        settings,
        biographer=biographer_for(settings, conversations),
        use_cpu=True,
        progress=False,
        preset=preset,
        **training,
    )
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    stage, turns = record["first_stage"], sum(len(turns) for _, turns in TRAIN)
    if preset == "bioserc":
        assert stage is None
        assert record["biographies"]["answers"] and record["biographies"]["writer"].startswith("chat-")
    elif preset == "instructerc":
        assert (
            stage["task"] == "speakers"
            and stage["examples"] == turns
            and record["tasks"]["impact_weight"] == 0.1
        )
    else:
        kinds = len(TaskSettings(first_stage=stage["task"]).characteristics)
        assert stage["annotator"] == Annotator(str(chat_model)).name
        assert stage["annotations"] == kinds * turns == stage["examples"] + sum(stage["flaws"].values())
    again = PromptedEmoNet.from_pretrained(tmp_path / "run")
    assert again.config.prompt_settings == settings and again.config.causal == causal
    for one, other in zip(again.predict(DIALOGUE), model.predict(DIALOGUE), strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)


# -- biographies from whole dialogues
# --------------------------------------------------------------------------------------


def test_a_biography_of_a_dialogue_is_of_that_dialogue_and_one_for_each_speaker(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = []
    monkeypatch.setattr(
        "emonet.speakers.biographies.annotator.TextWriter.write",
        lambda _, chat, budget: chats.append(chat) or "Ann is kind. She",
    )
    conversations = load(tmp_path)
    biographer = biographer_for(settings_of("bioserc", chat_model, causal=False), conversations)
    assert isinstance(biographer, DialogueBiographer)
    model = PromptedEmoNet.from_backbone(
        str(chat_model), LETTERS, settings_of("bioserc", chat_model, causal=False)
    )
    record = EmotionRecord(conversations["train"], conversations.utterance_texts(), LETTERS)
    PromptedSplit("validation", conversations["validation"], model, record, biographer)
    assert len(chats) == 2, "Ann and Bob"
    shown = chats[0][1]["content"]
    assert '"not i"' in shown and "telescope" not in shown and chats[0][2]["content"] == "Ann is"
    from emonet.speakers.biographies.extractive import dialogue_view

    written = biographer("Ann", dialogue_view("validation", conversations["validation"][0]))
    assert (
        written.text == "Ann is kind."
        and written.utterances == ("d3#0", "d3#1", "d3#2")
        and written.prompt_digest
    )
    assert biographer("Nobody", dialogue_view("validation", conversations["validation"][0])).text == ""


def test_anonymous_dialogues_are_shown_without_names(
    chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = []
    monkeypatch.setattr(
        "emonet.speakers.biographies.annotator.TextWriter.write",
        lambda _, chat, budget: chats.append(chat) or "Person 1 is like Bob.",
    )
    settings = PromptSettings(
        biography=True, biography_writer=str(chat_model), biography_of_dialogue=True, anonymous=True
    )
    text = dialogue_biographer(settings, ["Ann", "Bob"]).of_dialogue(DIALOGUE, "Ann").text
    assert "Ann" not in str(chats) and "Bob" not in str(chats) and text == "Person 1 is like Person 2."


def test_a_crowd_has_no_biography(chat_model: Path) -> None:
    settings = PromptSettings(biography=True, biography_writer=str(chat_model), biography_of_dialogue=True)
    biographer = dialogue_biographer(settings, [])
    scene = [{"speaker": "#ALL#", "text": "surprise"}, {"speaker": "The Waiter", "text": "sorry"}]
    assert biographer.of_dialogue(scene, "#ALL#").text == "" and biographer.annotator.written == 0
    assert biographer.of_dialogue(scene, "The Waiter").text


def test_another_writer_than_in_training_is_refused(decoder: Path, chat_model: Path) -> None:
    model = PromptedEmoNet.from_backbone(
        str(decoder), LETTERS, settings_of("bioserc", chat_model, causal=False)
    )
    model.processor.annotator_name = "chat-of-other-weights"
    with pytest.raises(EmoNetError, match="trained with biographies by chat-of-other-weights"):
        model.predict(DIALOGUE)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(EmoNetError, match="biography_of_dialogue needs"):
        PromptSettings(biography=True, biography_of_dialogue=True)
