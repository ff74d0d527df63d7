"""The handler answers JSON, CSV and plain bodies of the inference toolkit."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from tiny import DIALOGUE, build

PLAIN = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]


@pytest.fixture(scope="module")
def handler(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`EndpointHandler(folder)` out of the repository's own handler.py, as the toolkit
    loads it.
    """
    model, model.processor = build(tokenizer, "emonet-thesis")
    folder = tmp_path_factory.mktemp("endpoint")
    model.save_pretrained(folder)
    spec = importlib.util.spec_from_file_location("handler", folder / "handler.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EndpointHandler(Path(folder))


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": PLAIN},
        {"inputs": PLAIN, "parameters": {}},
        {"inputs": PLAIN, "parameters": None},
        {"inputs": [{"role": turn["speaker"], "content": turn["text"]} for turn in PLAIN]},
        {"inputs": "\n".join(f"{turn['speaker']}: {turn['text']}" for turn in PLAIN)},
        {"inputs": [{**turn, "emotion": "", "dialogue_id": "1"} for turn in PLAIN]},  # the rows of a CSV body
    ],
)
def test_one_dialogue(handler: Any, body: dict[str, Any]) -> None:
    rows = handler(body)
    assert [row["speaker"] for row in rows] == [turn["speaker"] for turn in PLAIN]
    assert [row["scores"] for row in rows] == [
        pytest.approx(row["scores"], abs=1e-6) for row in handler({"inputs": PLAIN})
    ]


def test_several_dialogues_and_parameters(handler: Any) -> None:
    answers = handler(
        {"inputs": [PLAIN, PLAIN[:2]], "parameters": {"top_k": 2, "history": {"Ann": ["i hate this"]}}}
    )
    assert [len(rows) for rows in answers] == [len(PLAIN), 2]
    assert all(len(row["scores"]) == 2 for rows in answers for row in rows)


def test_the_caller_decides_who_is_a_person(handler: Any) -> None:
    answers = [handler({"inputs": PLAIN, "parameters": {"speakers": rule}}) for rule in ("auto", "roles")]
    assert answers[0] == handler({"inputs": PLAIN}) != answers[1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "inputs"),
        ([], "inputs"),
        ({"inputs": 5}, "int"),
        ({"inputs": PLAIN, "parameters": 3}, "parameters"),
        ({"inputs": PLAIN, "parameters": {"top_k": 0}}, "top_k"),
        ({"inputs": PLAIN, "parameters": {"temperature": 1}}, "temperature"),
        ({"inputs": [{"speaker": "Ann"}]}, "Turn 0 has no text"),
        ({"inputs": [[]] * 5001}, "5001 turns"),  # each of them would take a dialogue's time
        ({"inputs": "Ann: hello\n" * 6000}, "6000 turns"),
        ({"inputs": {"turns": PLAIN * 1000}}, "6000 turns"),
        ({"inputs": ["Ann: hello\n" * 3000] * 2}, "6000 turns"),
        ({"inputs": "Ann: hello " + "x" * 2**21}, "2097163 characters"),
        ({"inputs": [], "parameters": {"history": {str(name): [] for name in range(5001)}}}, "5001 turns"),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason(handler: Any, body: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        handler(body)
