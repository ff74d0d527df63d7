"""The pipeline: one row per turn for every input format and batch size."""

from collections.abc import Iterator
from typing import Any

import datasets
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

    answers = pipe(source(), batch_size=1)
    assert taken == []
    assert same(next(answers), pipe(PLAIN)) and taken == [0]
    assert len(list(answers)) == 2

    table = datasets.Dataset.from_list([{"turns": PLAIN, "id": 1}, {"turns": SECOND, "id": 2}])
    for rows in (pipe(KeyDataset(table, "turns"), batch_size=2), pipe(table)):
        first, second = rows
        assert same(first, pipe(PLAIN)) and same(second, pipe(SECOND))


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
    assert pipe([]) == [] and pipe([[]]) == [[]] and pipe("") == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (7, "int"),
        (b"Ann: hi", "bytes"),
        ({"speaker": "Ann", "text": "hi"}, "one turn"),
        ([PLAIN, [{"speaker": "Ann"}]], "Dialogue 1: Turn 0 has no text"),
        ([PLAIN, 3], "Dialogue 1: .*int"),
        ([*PLAIN, "Ann: hi"], "Dialogue 0: .*one turn"),
    ],
)
def test_wrong_input_is_named(pipe: Any, wrong: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        pipe(wrong)


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
