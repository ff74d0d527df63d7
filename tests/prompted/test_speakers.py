"""Prompts hold what a person said and felt before, never what another role did."""

from pathlib import Path
from typing import Any

import pytest
from tiny_prompted import prompted

from emonet.inference.stream import predict_stream
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.modeling import PromptedEmoNet
from emonet.prompted.session import PromptedSession

ROLES = ["SPEAKER_00", "user", "A", "1", "The Waiter", "说话人1"]
BIOGRAPHIES = {"Ann": {"text": "great news"}}


@pytest.fixture(scope="module")
def model(decoder: Path) -> PromptedEmoNet:
    settings = PromptSettings(window=2, trajectory=2, biography=True, biography_budget=9)
    made = prompted(decoder, settings, speakers={"Ann": 1})
    made.processor.biographies = BIOGRAPHIES
    return made


def turns(name: str, text: str) -> list[dict[str, str]]:
    return [{"speaker": name, "text": text}]


def scores(row: Any) -> Any:
    return pytest.approx(row["scores"], abs=1e-5)


@pytest.mark.parametrize("name", ROLES)
def test_dialogues_do_not_share_a_role(model: PromptedEmoNet, name: str) -> None:
    dialogues = [turns(name, "leave me alone"), turns(name, "great we won")]
    alone = scores(model.predict_dialogues(dialogues[1:])[0][0])
    assert model.predict_dialogues(dialogues)[1][0]["scores"] == alone
    assert model.predict_dialogues(dialogues, speakers="persons")[1][0]["scores"] != alone
    for speakers, leaks in (("auto", False), ("persons", True)):
        streamed = predict_stream(model, model.processor, map(iter, dialogues), speakers=speakers)
        [_, [last]] = list(streamed)
        assert (last["scores"] != alone) is leaks
    as_history = PromptedSession(model, history=dialogues[:1])
    assert as_history.add(**dialogues[1][0])["scores"] == alone
    as_person = PromptedSession(model, history=dialogues[:1], speakers="persons")
    assert as_person.add(**dialogues[1][0])["scores"] != alone


def test_a_biography_is_found_by_every_spelling_and_for_no_role(model: PromptedEmoNet) -> None:
    def score(name: str, speakers: str = "auto") -> Any:
        last = turns(name, "no")
        [[row]] = model.predict_dialogues([last], speakers=speakers)
        session = PromptedSession(model, speakers=speakers)
        assert session.add(**last[0])["scores"] == scores(row)
        return row["scores"]

    model.processor.biographies = {}
    plain = score("Ann")
    model.processor.biographies = BIOGRAPHIES
    known = score("Ann")
    assert known != plain
    for spelling in ("ANN", "A\u200bnn", "ann\u2060"):
        assert score(spelling) == pytest.approx(known, abs=1e-5)
    assert score("Ann", "roles") == pytest.approx(plain, abs=1e-5), "another person of that name"
