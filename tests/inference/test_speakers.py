"""Memory follows persons from dialogue to dialogue, never the labels of a diarizer."""

from pathlib import Path
from typing import Any

import pytest
from tiny import LABELS, build

from emonet.dialogue.names import speaker_kinds
from emonet.errors import EmoNetError
from emonet.inference.predict import predict_dialogues
from emonet.inference.session import EmoNetSession
from emonet.pipeline_emonet import EmoNetPipeline

ROLES = ["SPEAKER_00", "spk_0", "A", "0", "user", "说话人1", "Sprecher 1", "Therapist"]


def turns(name: str, text: str) -> list[dict[str, str]]:
    return [{"speaker": name, "text": text}]


def scores(row: Any) -> Any:
    return pytest.approx([row["scores"][label] for label in LABELS], abs=1e-6)


def values(row: Any) -> list[float]:
    return [row["scores"][label] for label in LABELS]


@pytest.fixture(scope="module")
def parts(tokenizer: Any) -> tuple[Any, Any]:
    return build(tokenizer, "emonet-thesis")


def after(parts: Any, first: str, second: str, **options: Any) -> Any:
    dialogues = [turns(first, "leave me alone"), turns(second, "great we won")]
    return predict_dialogues(*parts, dialogues, **options)[1][0]


def alone(parts: Any, name: str) -> Any:
    return predict_dialogues(*parts, [turns(name, "great we won")])[0][0]


@pytest.mark.parametrize("name", ROLES)
def test_dialogues_do_not_share_a_role(parts: Any, name: str) -> None:
    assert values(after(parts, name, name)) == scores(alone(parts, name))
    assert values(after(parts, name, name, speakers="persons")) != scores(alone(parts, name))
    assert values(after(parts, name, name, speakers=[name])) != scores(alone(parts, name))


def test_a_persons_memory_follows_every_spelling(parts: Any) -> None:
    expected = scores(after(parts, "Ann", "Ann"))
    assert values(alone(parts, "Ann")) != expected
    for first, second in (("ANN", "Ann"), ("Ann", "ann"), ("Ann\u200b", "A\u200dnn")):
        assert values(after(parts, first, second)) == expected
    assert values(after(parts, "Ann", "Ann", speakers="roles")) != expected


def test_the_registry_is_found_by_every_spelling(parts: Any) -> None:
    _, processor = parts
    ids = [
        processor.encode(turns(name, "hi"))[0]["speaker_ids"] for name in ("Ann", "ANN", "ann\ufeff", "Zoe")
    ]
    assert ids == [[1], [1], [1], [0]]
    assert values(alone(parts, "ANN")) == scores(alone(parts, "Ann"))
    as_role = predict_dialogues(*parts, [turns("Ann", "great we won")], speakers="roles")[0][0]
    assert values(as_role) == scores(alone(parts, "Zed")), "another person of that name"


def test_two_spellings_are_one_local_speaker(parts: Any) -> None:
    _, processor = parts
    window = processor.encode([*turns("Zoe", "a"), *turns("ZOE", "b"), *turns("Ben", "c")])[0]
    assert window["local_speaker_ids"] == [0, 0, 1]


@pytest.mark.parametrize("name", ROLES)
def test_a_history_of_dialogues_leaves_roles_out(parts: Any, name: str) -> None:
    pipe = EmoNetPipeline(parts[0], parts[1])
    last, history = turns(name, "great we won"), [turns(name, "leave me alone")]
    expected = scores(pipe(last)[0])
    assert values(pipe(last, history=history)[0]) == expected
    assert values(pipe({"turns": last, "history": history})[0]) == expected
    assert values(pipe(last, history=history, speakers="persons")[0]) != expected
    assert values(pipe({"turns": last, "history": history}, speakers=[name])[0]) != expected
    assert values(EmoNetSession(*parts, history).add(**last[0])) == expected
    assert values(EmoNetSession(*parts, history, speakers="persons").add(**last[0])) != expected


def test_a_history_is_found_by_every_spelling(parts: Any) -> None:
    pipe = EmoNetPipeline(parts[0], parts[1])
    for known in ("Ann", "Zoe"):  # in the registry, and not
        expected = scores(pipe(turns(known, "great"), history={known: ["leave me alone"]})[0])
        for spelling in (known.upper(), f"{known}\u200b"):
            found = pipe(turns(known, "great"), history={spelling: ["leave me alone"]})[0]
            assert values(found) == expected
            assert values(pipe(turns(spelling, "great"), history={known: ["leave me alone"]})[0]) == expected


def test_rows_keep_the_name_as_it_was_given(parts: Any) -> None:
    pipe = EmoNetPipeline(parts[0], parts[1])
    assert pipe(turns("ANN\u200b", "hi"))[0]["speaker"] == "ANN\u200b"
    assert EmoNetSession(*parts).add("ANN\u200b", "hi")["speaker"] == "ANN\u200b"


def test_a_pipeline_passes_the_decision_on(parts: Any) -> None:
    pipe = EmoNetPipeline(parts[0], parts[1])
    role, known = (pipe(turns("Ann", "great we won"), **given)[0] for given in ({"speakers": "roles"}, {}))
    assert values(role) == scores(alone(parts, "Zed")) and values(known) != scores(alone(parts, "Zed"))


def test_a_pipeline_refuses_other_decisions(parts: Any) -> None:
    pipe = EmoNetPipeline(parts[0], parts[1])
    with pytest.raises(ValueError, match="not auto, persons, roles"):
        pipe(turns("Ann", "hi"), speakers=[])


def test_a_session_takes_spellings_as_the_batch_does(parts: Any, tmp_path: Path) -> None:
    names = ["Zoe", "ann", "ZOE", "Ann", "zoe"]
    dialogue = [{"speaker": name, "text": "great we won"} for name in names]
    expected = predict_dialogues(*parts, [dialogue])[0]
    session = EmoNetSession(*parts)
    for index, turn in enumerate(dialogue):
        assert values(session.add(**turn)) == pytest.approx(values(expected[index]), abs=1e-5)
        session.save(tmp_path)
        session = EmoNetSession.restore(tmp_path, *parts)
    assert list(session.local_ids) == ["Zoe", "Ann"]


def test_a_saved_session_keeps_the_decision(parts: Any, tmp_path: Path) -> None:
    EmoNetSession(*parts, speakers="roles").save(tmp_path)
    assert EmoNetSession.restore(tmp_path, *parts).names.kinds.rule == "roles"
    state = (tmp_path / "session.json").read_text()
    (tmp_path / "session.json").write_text(state.replace('"roles"', "[]"))
    with pytest.raises(EmoNetError, match="speakers is"):
        EmoNetSession.restore(tmp_path, *parts)
    older = state.replace(', "speakers": "roles"', "").replace('"speakers": "roles", ', "")
    assert older != state
    (tmp_path / "session.json").write_text(older)
    assert EmoNetSession.restore(tmp_path, *parts).names.kinds.rule == "auto"


def test_each_dialogue_of_a_batch_has_its_own_decision(parts: Any) -> None:
    dialogues = [turns("Ann", "great we won")] * 2
    kinds = [speaker_kinds(["Ann"], rule) for rule in ("auto", "roles")]
    known, role = predict_dialogues(*parts, dialogues, [{}, {}], speakers=kinds)
    assert values(known[0]) == scores(alone(parts, "Ann"))
    assert values(role[0]) == scores(alone(parts, "Zed"))
