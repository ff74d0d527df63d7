"""The pipeline: one row per turn for every input format and batch size."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from queue import Queue
from typing import Any

import datasets
import pandas
import pytest
import torch
from tiny import DIALOGUE, LABELS, OTHER, build
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from emonet.inference.predict import predict_dialogues
from emonet.pipeline_emonet import EmoNetPipeline

PLAIN = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]
SECOND = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in OTHER]


@pytest.fixture(scope="module")
def pipe(tokenizer: Any) -> Any:
    model, processor = build(tokenizer, "emonet-thesis")
    model.processor = processor
    return pipeline("emotion-in-conversation", model=model)


def scores(rows: list[dict[str, Any]]) -> torch.Tensor:
    return torch.tensor([[row["scores"][label] for label in LABELS] for row in rows])


def same(left: Any, right: Any) -> bool:
    return [row["text"] for row in left] == [row["text"] for row in right] and torch.allclose(
        scores(left), scores(right), atol=1e-5
    )


def test_one_row_a_turn_with_all_scores(pipe: Any) -> None:
    rows = pipe(PLAIN)
    assert [(row["speaker"], row["text"]) for row in rows] == [
        (turn["speaker"], turn["text"]) for turn in PLAIN
    ]
    for row in rows:
        assert list(row) == ["speaker", "text", "label", "score", "scores"]
        assert sorted(row["scores"]) == LABELS and sum(row["scores"].values()) == pytest.approx(1)
        assert row["score"] == max(row["scores"].values()) == row["scores"][row["label"]]
        assert list(row["scores"].values()) == sorted(row["scores"].values(), reverse=True)


def test_scores_are_those_of_the_model(pipe: Any) -> None:
    expected = predict_dialogues(pipe.model, pipe.processor, [PLAIN])[0]
    assert torch.allclose(scores(pipe(PLAIN)), scores([{**row} for row in expected]), atol=1e-6)
    assert pipe.model.predict(PLAIN, top_k=2) == pipe(PLAIN, top_k=2)


def test_every_form_of_one_dialogue(pipe: Any) -> None:
    expected = pipe(PLAIN)
    chat = [{"role": turn["speaker"], "content": turn["text"]} for turn in PLAIN]
    script = "\n".join(f"{turn['speaker']}: {turn['text']}" for turn in PLAIN)
    for form in (chat, script, {"turns": PLAIN}, tuple(PLAIN)):
        assert same(pipe(form), expected)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_equal_single_dialogues(pipe: Any, batch_size: int) -> None:
    inputs = [PLAIN, SECOND, [], SECOND + PLAIN, PLAIN[:1]]
    alone = [pipe(dialogue) for dialogue in inputs]
    together = pipe(inputs, batch_size=batch_size)
    assert isinstance(together, list)
    assert all(same(left, right) for left, right in zip(together, alone, strict=True) if left or right)


def test_generators_and_datasets_are_lazy(pipe: Any) -> None:
    taken = []

    def source() -> Iterator[Any]:
        for number, dialogue in enumerate([PLAIN, SECOND, PLAIN]):
            taken.append(number)
            yield dialogue

    answers = pipe(source(), num_workers=0)
    assert taken == []
    assert same(next(answers), pipe(PLAIN)) and taken == [0]
    assert len(list(answers)) == 2
    ahead = pipe(source())
    assert len(taken) == 3 and same(next(ahead), pipe(PLAIN)) and len(list(ahead)) == 2

    table = datasets.Dataset.from_list([{"turns": PLAIN, "id": 1}, {"turns": SECOND, "id": 2}])
    for rows in (pipe(KeyDataset(table, "turns"), batch_size=2), pipe(table)):
        first, second = rows
        assert same(first, pipe(PLAIN)) and same(second, pipe(SECOND))


def thread_names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "emonet-ahead"]


def test_an_endless_generator_is_read_ahead_within_bounds(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emonet.pipeline_emonet.LOOK_AHEAD", 20)
    taken = 0

    def source() -> Iterator[Any]:
        nonlocal taken
        while True:
            taken += 1
            yield (PLAIN, SECOND)[taken % 2]

    answers = pipe(source())
    expected = [pipe(PLAIN), pipe(SECOND)]
    for number in range(1, 30):
        assert same(next(answers), expected[number % 2])
        # Three look-aheads of twenty turns, in dialogues of two and six.
        assert taken - number <= 3 * 20 / 4 + 3
    assert thread_names()
    answers.close()
    assert not thread_names()


def test_dialogues_share_passes_by_length(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[int]] = []
    collate = pipe.processor.collate
    monkeypatch.setattr(
        pipe.processor,
        "collate",
        lambda windows, *rest: (
            batches.append([len(window["speaker_ids"]) for window in windows]) or collate(windows, *rest)
        ),
    )
    assert [len(rows) for rows in pipe([PLAIN, SECOND] * 10)] == [6, 2] * 10
    assert [set(turns) for turns in batches] == [{6}, {2}]


def test_a_generator_may_wait_for_the_results(pipe: Any) -> None:
    """As in a server, where the source is a queue of requests."""
    answered: Queue[int] = Queue()

    def source() -> Iterator[Any]:
        for number in range(3):
            yield PLAIN[: number + 1]
            assert answered.get(timeout=60) == number + 1

    for rows in pipe(source()):
        answered.put(len(rows))


@pytest.mark.parametrize("options", [{}, {"num_workers": 0, "batch_size": 8}])
def test_an_error_comes_after_the_results_before_it(pipe: Any, options: dict[str, Any]) -> None:
    def source() -> Iterator[Any]:
        yield from (PLAIN, SECOND, [{"speaker": "Ann"}], PLAIN)

    answers = pipe(source(), **options)
    assert same(next(answers), pipe(PLAIN)) and same(next(answers), pipe(SECOND))
    with pytest.raises(ValueError, match="Dialogue 2: Turn 0 has no text"):
        next(answers)
    assert not thread_names()


def test_a_cursor_is_read_in_its_own_thread(pipe: Any) -> None:
    texts = ["Ann: great we won", "Bob: no"]
    with closing(sqlite3.connect(":memory:")) as database:

        def source() -> Iterator[str]:
            yield from (text for (text,) in database.execute("VALUES (?), (?)", texts))

        found = list(pipe(source(), num_workers=0))
        with pytest.raises(sqlite3.ProgrammingError, match="thread"):
            list(pipe(source()))
    assert all(same(rows, pipe(text)) for rows, text in zip(found, texts, strict=True))


def test_history_is_read_by_speaker(pipe: Any) -> None:
    last = PLAIN[-1:]
    plain = pipe(last)
    earlier = pipe(last, history={"Ann": ["i hate this"]})
    assert not same(earlier, plain)
    assert same(pipe(last, history=[[{"speaker": "Ann", "text": "i hate this"}]]), earlier)
    assert same(pipe([{"turns": last, "history": {"Ann": ["i hate this"]}}, last])[0], earlier)
    assert same(pipe([{"turns": last, "history": {"Ann": ["i hate this"]}}, last])[1], plain)
    assert same(pipe(last, history={"Bob": ["i hate this"]}), plain)


def test_history_equals_dialogues_in_time(pipe: Any) -> None:
    """Equal to `predict_dialogues` on both dialogues in order of time."""
    in_time = predict_dialogues(pipe.model, pipe.processor, [PLAIN, SECOND])[1]
    assert torch.allclose(scores(pipe(SECOND, history=[PLAIN])), scores(in_time), atol=1e-5)


def test_top_k(pipe: Any) -> None:
    for given in (pipe(PLAIN, top_k=2), EmoNetPipeline(pipe.model, top_k=2)(PLAIN)):
        assert [list(row["scores"].items()) for row in given] == [
            list(row["scores"].items())[:2] for row in pipe(PLAIN)
        ]
    with pytest.raises(ValueError, match="top_k=0"):
        pipe(PLAIN, top_k=0)


def test_empty_dialogues_have_no_rows(pipe: Any) -> None:
    assert pipe([]) == [] and pipe([[]]) == [[]] and pipe({"turns": []}) == []
    with pytest.raises(ValueError, match="empty dialogue"):
        pipe("")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (7, "int"),
        (b"Ann: hi", "bytes"),
        ({"speaker": "Ann"}, "Turn 0 has no text"),
        ({"title": "T", "lines": 3}, "its fields are title, lines"),
        (iter(PLAIN), "Dialogue 0: this is one turn"),
        ([PLAIN, [{"speaker": "Ann"}]], "Dialogue 1: Turn 0 has no text"),
        ([PLAIN, 3], "Dialogue 1: .*int"),
        ([*PLAIN, "Ann: hi"], "Dialogue 0: .*one turn"),
    ],
)
def test_wrong_input_is_named(pipe: Any, wrong: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        list(pipe(wrong))


def test_one_turn_and_one_text(pipe: Any) -> None:
    assert same(pipe(PLAIN[0]), pipe(PLAIN[:1])) and len(pipe({"role": "Ann", "content": "hi"})) == 1


def test_a_text_of_several_dialogues_is_one_list_in_order_of_time(pipe: Any) -> None:
    scripts = ["\n".join(f"{turn['speaker']}: {turn['text']}" for turn in turns) for turns in (PLAIN, SECOND)]
    rows = pipe("\n\n".join(scripts))
    assert [row["dialogue_id"] for row in rows] == ["0"] * len(PLAIN) + ["1"] * len(SECOND)
    expected = predict_dialogues(pipe.model, pipe.processor, [PLAIN, SECOND])
    assert torch.allclose(scores(rows), scores([row for found in expected for row in found]), atol=1e-5)
    assert "dialogue_id" not in pipe(scripts[0])[0]
    apart = pipe(scripts)
    assert [len(found) for found in apart] == [len(PLAIN), len(SECOND)] and same(apart[1], pipe(SECOND))


MESSAGES = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": [{"type": "text", "text": "great we won"}]},
]


def test_parsed_json_is_read_as_its_text(pipe: Any) -> None:
    for value in (MESSAGES, {"messages": MESSAGES}, [{"messages": MESSAGES}]):
        assert same(pipe(value), pipe(json.dumps(value)))
        assert [(row["speaker"], row["text"]) for row in pipe(value)] == [("user", "great we won")]
    segments = [
        {"start": 0.5, "end": 1, "text": " no", "speaker": "SPEAKER_00"},
        {"start": 1, "end": 2, "text": "hi"},
    ]
    for value in ({"segments": segments, "text": " no hi"}, segments):
        rows = pipe(value)
        assert [(row["speaker"], row["text"], row["start"]) for row in rows] == [
            ("SPEAKER_00", "no", 0.5),
            ("#UNKNOWN#", "hi", 1),
        ]


def test_what_was_left_out_is_told_once_a_call(pipe: Any, caplog: pytest.LogCaptureFixture) -> None:
    pipe("Ann: great we won")
    assert not caplog.messages
    pipe({"messages": MESSAGES})
    assert caplog.messages == ["Input read as chat messages; 1 system message left out."]
    caplog.clear()
    pipe([json.dumps(MESSAGES), json.dumps(MESSAGES * 2)])
    assert len(caplog.messages) == 1


TABLE = [
    {"dialogue_id": "b", "speaker": turn["speaker"], "text": turn["text"], "file": index}
    for index, turn in enumerate(PLAIN)
] + [{"dialogue_id": "a", "speaker": turn["speaker"], "text": turn["text"], "file": -1} for turn in SECOND]


def as_frames(rows: list[dict[str, Any]]) -> list[Any]:
    return [pandas.DataFrame(rows), datasets.Dataset.from_list(rows)]


@pytest.mark.parametrize("kind", [0, 1])
def test_a_table_gives_its_rows_with_results(pipe: Any, kind: int) -> None:
    rows = pipe(as_frames(TABLE)[kind])
    assert [{key: row[key] for key in TABLE[0]} for row in rows] == TABLE
    assert list(rows[0]) == [*TABLE[0], "label", "score", "scores"]
    expected = predict_dialogues(pipe.model, pipe.processor, [PLAIN, SECOND])
    assert torch.allclose(scores(rows), scores([row for found in expected for row in found]), atol=1e-5)
    backwards = [{**row, "turn": float(-index)} for index, row in enumerate(TABLE)]
    rows = pipe(as_frames(backwards)[kind])
    assert [row["file"] for row in rows] == [row["file"] for row in TABLE]
    expected = predict_dialogues(pipe.model, pipe.processor, [PLAIN[::-1], SECOND[::-1]])
    in_order = [*expected[0][::-1], *expected[1][::-1]]
    assert torch.allclose(scores(rows), scores(in_order), atol=1e-5)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "joy"}, "the column label too; rename it"),
        ({"label": "joy", "score": 1.0}, "label and score too; rename them"),
        ({"dialogue_id": ""}, "row 0, dialogue_id: '' is not an id"),
        ({"turn": 1}, "row 1: dialogue 'b' has turn 1 twice"),
        ({"Speaker": "Ann"}, ""),
        ({"speaker": None}, ""),
    ],
)
def test_a_wrong_table_names_row_and_column(pipe: Any, kind: int, changes: Any, message: str) -> None:
    frame = as_frames([{**row, **changes} for row in TABLE])[kind]
    if not message:  # the field's own name wins, and nobody is the unknown speaker
        assert len(pipe(frame)) == len(TABLE)
        return
    with pytest.raises(ValueError, match=message):
        pipe(frame)


def test_a_dialogue_that_begins_again_is_refused(pipe: Any) -> None:
    frame = pandas.DataFrame([TABLE[0], TABLE[-1], TABLE[1]])
    with pytest.raises(ValueError, match="row 2: dialogue 'b' begins again after dialogue 'a'"):
        pipe(frame)
    rows = pipe(frame, interleaved=True)
    assert [row["file"] for row in rows] == [0, -1, 1] and same([rows[0], rows[2]], pipe(PLAIN[:2]))


def test_frames_without_the_columns_of_turns(pipe: Any) -> None:
    with pytest.raises(ValueError, match="no column text; its columns are speaker, note"):
        pipe(pandas.DataFrame({"speaker": ["Ann"], "note": ["hi"]}))
    with pytest.raises(ValueError, match="speaker appears twice"):
        pipe(pandas.DataFrame([["a", "b", "c"]], columns=["speaker", "speaker", "text"]))
    dialogues = pandas.DataFrame({"dialogue_id": ["x", "y"], "turns": [PLAIN, SECOND]})
    first, second = pipe(dialogues)
    assert same(first, pipe(PLAIN)) and same(second, pipe(SECOND))
    assert pipe(pandas.DataFrame({"speaker": [], "text": []})) == []


def test_an_empty_cell_is_an_empty_text(pipe: Any) -> None:
    frame = pandas.DataFrame({"Speaker": ["Ann", "Bob"], "Text": ["great we won", None]})
    turns = [{"speaker": "Ann", "text": "great we won"}, {"speaker": "Bob", "text": ""}]
    assert torch.allclose(scores(pipe(frame)), scores(pipe(turns)))


def test_unknown_parameters_are_refused(pipe: Any) -> None:
    with pytest.raises(TypeError, match="temperature"):
        pipe(PLAIN, temperature=1)


def test_dropout_is_off(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-thesis", head_dropout=0.5)
    model.processor = processor
    model.train()
    pipe = pipeline("emotion-in-conversation", model=model)
    assert same(pipe(PLAIN), pipe(PLAIN))


def test_missing_processor_is_named(tokenizer: Any) -> None:
    model, _ = build(tokenizer, "context")
    with pytest.raises(ValueError, match=r"model\.processor"):
        model.predict(PLAIN)
