"""The JSON endpoint: its schema, its limits, and reasons for wrong requests."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks
from tiny import DIALOGUE, make_tokenizer, taking_labels
from tiny_serving import tiny_predictor

from emonet.serving.api import create_api
from emonet.serving.limits import PREFIX, LimitRequests, Limits
from emonet.serving.predictor import Predictor

LIMITS = Limits(body=20_000, turns=50, seconds=30, requests=8)


def limited(predictor: Any, limits: Limits) -> LimitRequests:
    """Return the application as it is served."""
    return LimitRequests(create_api(predictor, limits), limits, PREFIX)


APP = limited(tiny_predictor(), LIMITS)
TURN = {"speaker": "Ann", "text": "great we won"}
schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


def post(app: Any = APP, **request: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v1/emotions", headers={"content-type": "application/json"}, **request)

    return asyncio.run(send())


def _check_against_the_schema(case: Any) -> None:
    response = case.call()
    too_much = response.status_code == 413  # bounds on turns and bytes are stated in words
    excluded = [checks.positive_data_acceptance, checks.negative_data_rejection] if too_much else []
    inputs = case.body.get("inputs") if isinstance(case.body, dict) else None
    turns = inputs if isinstance(inputs, list) else []
    known = any(isinstance(turn, dict) and turn.get("known_emotion") is not None for turn in turns)
    # Which texts are conversations, and which labels a model takes, too.
    if response.status_code == 422 and (known or isinstance(inputs, str)):
        excluded = [checks.positive_data_acceptance]
    case.validate_response(response, excluded_checks=excluded)
    assert b"Traceback" not in response.content


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_schema_holds(case: Any) -> None:
    _check_against_the_schema(case)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_schema_holds_at_length(case: Any) -> None:
    _check_against_the_schema(case)


def test_a_caller_decides_who_is_a_person() -> None:
    scores = []
    for speakers in (None, "auto", ["\u200b"], ["Ann"], "persons", "roles"):
        parameters = {} if speakers is None else {"parameters": {"speakers": speakers}}
        response = post(json={"inputs": [{**TURN, "speaker": "ANN\u200b"}], **parameters})
        assert response.status_code == 200 and response.json()[0]["speaker"] == "ANN\u200b"
        scores.append(pytest.approx(response.json()[0]["score"], abs=1e-6))
    assert scores[:5] == scores[:1] * 5 and scores[5] != scores[0], "a role is not the Ann of training"
    assert post(json={"inputs": [TURN], "parameters": {"speakers": "everybody"}}).status_code == 422


def test_a_dialogue_is_answered_as_by_the_pipeline() -> None:
    turns = [TURN, {"speaker": "Bob", "text": "leave me alone", "emotion": "ignored"}]
    history = {"Bob": ["i hate this"]}
    rows = post(json={"inputs": turns, "parameters": {"history": history, "top_k": 2}}).json()
    [expected] = tiny_predictor().predict([[TURN, {"speaker": "Bob", "text": "leave me alone"}]], [history])
    assert [(row["speaker"], row["text"], row["label"]) for row in rows] == [
        (row["speaker"], row["text"], row["label"]) for row in expected
    ]
    for row, expected_row in zip(rows, expected, strict=True):
        assert list(row["scores"].items()) == [
            (name, pytest.approx(p, abs=1e-5)) for name, p in list(expected_row["scores"].items())[:2]
        ]
    assert post(json={"inputs": []}).json() == []


TEXT = "Ann: great we won\nBob: leave me alone"


def labels(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["speaker"], row["text"], row["label"]) for row in rows]


def test_a_text_is_answered_as_its_turns() -> None:
    turns = [TURN, {"speaker": "Bob", "text": "leave me alone"}]
    rows = post(json={"inputs": TEXT, "parameters": {"top_k": 2, "history": {"Bob": ["i hate this"]}}}).json()
    expected = post(json={"inputs": turns, "parameters": {"history": {"Bob": ["i hate this"]}}}).json()
    assert labels(rows) == labels(expected)
    assert [list(row) for row in rows] == [["speaker", "text", "label", "score", "scores"]] * 2
    assert [len(row["scores"]) for row in rows] == [2, 2]
    segments = {"segments": [{"start": 0.5, "end": 1, "text": " no", "speaker": "A"}]}
    [row] = post(json={"inputs": json.dumps(segments)}).json()
    assert (row["speaker"], row["text"], row["start"], row["end"]) == ("A", "no", 0.5, 1.0)


def test_a_text_of_several_dialogues_is_one_list_in_order_of_time() -> None:
    rows = post(json={"inputs": f"{TEXT}\n\n{TEXT}\nCat: no"}).json()
    assert [row["dialogue_id"] for row in rows] == ["0", "0", "1", "1", "1"]
    turns = [TURN, {"speaker": "Bob", "text": "leave me alone"}]
    expected = tiny_predictor().predict([turns, [*turns, {"speaker": "Cat", "text": "no"}]])
    for row, other in zip(rows, [row for found in expected for row in found], strict=True):
        assert row["text"] == other["text"] and row["scores"] == pytest.approx(other["scores"], abs=1e-5)


def test_the_schema_has_both_forms_of_input() -> None:
    schemas = create_api(tiny_predictor(), LIMITS).openapi()["components"]["schemas"]
    forms = schemas["EmotionsRequest"]["properties"]["inputs"]["oneOf"]
    assert [form["type"] for form in forms] == ["array", "string"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 422, "required"),
        (b"{", 400, "JSON"),
        (b"\xff", 400, "pars"),
        (b"[" * 5000, 400, "pars"),
        (b'{"inputs": [], "parameters": {"top_k": 1' + b"0" * 5000 + b"}}", 400, "pars"),
        (b"[]", 422, "object"),
        (b'{"inputs": 5}', 422, "inputs: Input should be a valid list"),
        (b'{"inputs": [{"speaker": "Ann"}]}', 422, "inputs.0.text: Field required"),
        (b'{"inputs": [{"speaker": "", "text": "x"}]}', 422, "inputs.0.speaker"),
        (b'{"inputs": [{"speaker": "A", "text": "\\ud800"}]}', 422, "inputs.0.text"),
        (b'{"inputs": [], "parameters": {"history": {"\\ud800": ["x"]}}}', 422, "history"),
        (b'{"inputs": [], "parameters": {"\\ud800": 1}}', 422, "parameters"),
        (b'{"inputs": [], "parameters": {"top_k": 0}}', 422, "top_k"),
        (b'{"inputs": [], "parameters": {"top_k": NaN}}', 422, "top_k"),
        (b'{"inputs": [], "parameters": {"temperature": 1}}', 422, "temperature"),
        (json.dumps({"inputs": [TURN] * 51}).encode(), 413, "51 turns"),
        (
            json.dumps({"inputs": [TURN], "parameters": {"history": {"Ann": ["a"] * 50}}}).encode(),
            413,
            "51 turns",
        ),
        (b" " * 20_001, 413, "20000 bytes"),
        (b'{"inputs": ""}', 422, "inputs: an empty dialogue"),
        (b'{"inputs": "[{\\"a\\": 1}, {]"}', 422, "inputs, line 1, column 13: not JSON"),
        (b'{"inputs": "{\\"title\\": 1}"}', 422, "its fields are title"),
        (b'{"inputs": "Ann: \\ud800"}', 422, "inputs"),
        (json.dumps({"inputs": "Ann: hi\n" * 51}).encode(), 413, "51 turns"),
        (
            json.dumps({"inputs": "Ann: a", "parameters": {"history": {"Ann": ["a"] * 50}}}).encode(),
            413,
            "51 turns",
        ),
        (
            json.dumps({"inputs": json.dumps([{"speaker": "A" * 201, "text": ""}])}).encode(),
            422,
            "speaker: 201",
        ),
    ],
    ids=range(25),
)
def test_a_wrong_request_gets_a_reason(body: bytes, status: int, reason: str) -> None:
    response = post(content=body)
    assert (response.status_code, reason in response.json()["detail"]) == (status, True), response.text
    assert "Traceback" not in response.text


def test_a_body_of_unknown_length_has_the_same_limit() -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1000

    assert post(content=endless()).status_code == 413


def test_a_failure_of_the_server_shows_no_details(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = tiny_predictor()
    monkeypatch.setattr(predictor, "predict_prepared", lambda *_: 1 / 0)
    response = post(limited(predictor, LIMITS), json={"inputs": [TURN]})
    assert (
        response.status_code == 500
        and "ZeroDivision" not in response.text
        and "log" in response.json()["detail"]
    )


def test_one_request_too_many_and_one_too_slow_get_503() -> None:
    predictor = tiny_predictor()
    app = limited(predictor, Limits(seconds=0.5, requests=3))

    async def storm() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            with predictor.alone():  # no request is answered
                return await asyncio.gather(
                    *(client.post("/v1/emotions", json={"inputs": [TURN]}) for _ in range(5))
                )

    responses = asyncio.run(storm())
    reasons = sorted(response.json()["detail"][:20] for response in responses)
    assert [response.status_code for response in responses] == [503] * 5
    assert reasons == ["3 requests are under"] * 2 + ["No answer within 0.5"] * 3
    assert all(response.headers["retry-after"] == "1" for response in responses)
    assert post(app, json={"inputs": [TURN]}).status_code == 200, "requests that were given up hold no slot"


def reading_of(response: httpx.Response) -> Any:
    return json.loads(response.headers["emonet-reading"])


def test_an_answer_tells_how_its_request_was_read() -> None:
    chat = (
        "[12.03.24, 18:02:11] Zoë: hi\n[12.03.24, 18:02:40] SPEAKER_00: no\n"
        "[12.03.24, 18:03:00] Messages and calls are end-to-end encrypted.\n[12.03.24, 18:03:40] zoë: no"
    )
    response = post(json={"inputs": chat})
    found = reading_of(response)
    assert (found["turns"], found["dialogues"]) == (3, 1)
    assert found["form"].startswith("WhatsApp") and found["speakers"] == {"Zoë": 2, "SPEAKER_00": 1}
    left_out, role, spelling = found["notes"]
    assert "left out" in left_out and "SPEAKER_00 is taken for a role" in role
    assert "parameters.speakers persons" in role and "--" not in role
    assert spelling.startswith("Zoë and zoë are taken for one person")
    found = reading_of(post(json={"inputs": [TURN], "parameters": {"speakers": "roles"}}))
    assert found["form"] == "a list of turns" and "Ann is taken for a role" in found["notes"][0]
    assert reading_of(post(json={"inputs": []}))["turns"] == 0
    documented = create_api(tiny_predictor(), LIMITS).openapi()["paths"]["/v1/emotions"]["post"]
    assert "Emonet-Reading" in documented["responses"]["200"]["headers"]


def test_the_header_stays_small_whatever_is_sent() -> None:
    names = [f"{'😀' * 190}{number}" for number in range(25)]
    turns = [{"speaker": form(name), "text": ""} for name in names for form in (str, "SPEAKER {}".format)]
    response = post(limited(tiny_predictor(), Limits()), json={"inputs": turns})
    assert response.status_code == 200 and len(response.headers["emonet-reading"]) <= 4096


@pytest.mark.parametrize("role", ["SPEAKER_00", "user", "A", "The Waiter"])
def test_no_dialogue_or_request_remembers_a_role_of_another(role: str) -> None:
    def scores(text: str, **parameters: Any) -> Any:
        rows = post(json={"inputs": text, "parameters": parameters}).json()
        return list(rows[-1]["scores"].values()), rows[-1]["label"]

    last = f"{role}: great we won\n{role}: no"
    alone = scores(last)
    two = f"{role}: leave me alone\n{role}: i hate this\n\n{last}"
    assert scores(two)[0] == pytest.approx(alone[0], abs=1e-5)
    assert scores(two, speakers="persons")[0] != pytest.approx(alone[0], abs=1e-5)
    assert scores(last)[0] == pytest.approx(alone[0], abs=1e-5), "after the other request"


def test_spellings_of_a_person_are_one_over_http() -> None:
    def last_score(name: str, **parameters: Any) -> float:
        response = post(json={"inputs": [{**TURN, "speaker": name}], "parameters": parameters})
        return float(response.json()[-1]["score"])

    history = {"Zoe": ["i hate this", "leave me alone"]}
    expected = pytest.approx(last_score("Zoe", history=history), abs=1e-6)
    assert last_score("Zoe") != expected
    for spelling in ("ZOE", "Z\u200boe", "zoe\u2060"):
        assert last_score(spelling, history=history) == expected
        assert last_score("Zoe", history={spelling: history["Zoe"]}) == expected
    turns = [{"speaker": name, "text": "no"} for name in ("Ann", "ANN")]  # a person of training
    assert reading_of(post(json={"inputs": turns}))["notes"] == [
        "Ann and ANN are taken for one person; write the name alike everywhere."
    ]


def test_known_labels_come_back_and_move_what_follows() -> None:
    predictor = Predictor(*taking_labels(make_tokenizer()), "labels")
    turns = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]
    known = [*turns[:2], {**turns[2], "known_emotion": {"Mad": 0.5, "Sad": 0.5}}, *turns[3:]]
    app = limited(predictor, LIMITS)
    plain, causal, later = (
        post(app, json={"inputs": inputs, "parameters": parameters}).json()
        for inputs, parameters in ((turns, {}), (known, {}), (known, {"use_later_labels": True}))
    )
    assert not any("source" in row for row in plain)
    assert [row["source"] for row in causal] == ["predicted", "predicted", "given", *["predicted"] * 3]
    assert causal[2]["scores"]["Mad"] == causal[2]["scores"]["Sad"] == 0.5
    changed = [
        [row["score"] != pytest.approx(other["score"]) for row, other in zip(plain, rows, strict=True)]
        for rows in (causal, later)
    ]
    assert changed == [[False, False, True, True, True, True], [True] * 6]


@pytest.mark.parametrize(
    ("label", "reason"), [("Angry", "'Angry' is not a label"), ({"Mad": 2}, "distribution")]
)
def test_wrong_known_labels_are_refused(label: Any, reason: str) -> None:
    app = limited(Predictor(*taking_labels(make_tokenizer()), "labels"), LIMITS)
    answer = post(app, json={"inputs": [TURN, {**TURN, "known_emotion": label}]})
    assert answer.status_code == 422 and "Turn 1" in answer.text and reason in answer.text
    answer = post(json={"inputs": [{**TURN, "known_emotion": "Mad"}]})
    assert answer.status_code == 422 and "emonet-labels" in answer.text
