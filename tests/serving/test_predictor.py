"""One model for many threads, and small requests answered in one pass."""

import asyncio
import threading
from typing import Any

import pytest
from tiny import DIALOGUE, OTHER, taking_labels
from tiny_serving import tiny_predictor
from torch import nn

from emonet.errors import EmoNetError
from emonet.inference.predict import predict_dialogues
from emonet.serving.batching import TURNS_PER_BATCH, Batcher
from emonet.serving.predictor import Predictor, Stopped

TURNS = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]
SHORT = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in OTHER]


def scores(rows: list[dict[str, Any]]) -> list[Any]:
    return [pytest.approx(row["scores"], abs=1e-5) for row in rows]


def test_a_session_and_whole_dialogues_do_not_disturb_each_other() -> None:
    """A session's pass changes the attention of the encoder that all threads share."""
    predictor = tiny_predictor("emonet-fast", "llama")
    [expected] = predictor.predict([TURNS])
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(15):
                assert [row["scores"] for row in predictor.predict([TURNS] * 3)[2]] == scores(
                    predictor.predict([TURNS] * 3)[2]
                )
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        session = predictor.session()
        assert [predictor.add(session, **turn)["scores"] for turn in TURNS] == scores(expected)
    for thread in threads:
        thread.join()
    assert not failures


def test_others_get_the_model_between_two_passes() -> None:
    predictor = tiny_predictor()
    order: list[str] = []

    def note(what: str, done: int, whole: int) -> None:
        order.append("script")
        if order.count("script") == 1:
            waiting.start()
            while not predictor._next.locked():  # until the other thread waits for the model
                pass

    waiting = threading.Thread(target=lambda: (predictor.predict([SHORT]), order.append("short")))
    predictor.predict([TURNS] * 100, report=note)
    waiting.join()
    assert order.index("short") < len(order) - 2, order


def test_a_report_counts_every_turn_and_can_stop() -> None:
    predictor = tiny_predictor()
    seen: list[tuple[str, int, int]] = []
    predictor.predict([TURNS] * 40, report=lambda *progress: seen.append(progress))
    turns = [done for what, done, _ in seen if what == "turns"]
    assert seen[-1] == ("turns", 240, 240) and turns == sorted(turns)

    def stop(*progress: Any) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        predictor.predict([TURNS], report=stop)
    assert predictor.predict([SHORT]), "the model is free again"


@pytest.mark.parametrize("preset", ["emonet-thesis", "emonet-fast"])
def test_a_pass_that_nobody_waits_for_ends_half_way(preset: str) -> None:
    """A pass over a long window takes a minute: a stop must not wait for its end."""
    predictor = tiny_predictor(preset, "llama" if preset == "emonet-fast" else "bert")
    labelled = predictor.predict([TURNS])
    layers = next(part for part in predictor.model.modules() if isinstance(part, nn.ModuleList))
    begun, ended = threading.Event(), []
    layers[0].register_forward_pre_hook(lambda *_: begun.set())
    layers[-1].register_forward_hook(lambda *_: ended.append("layers"))

    def stop(*progress: Any) -> None:
        if begun.is_set():
            raise Stopped

    for work in (
        lambda: predictor.predict([TURNS], report=stop),
        lambda: predictor.explain(labelled, 4, report=stop),
    ):
        begun.clear()
        with pytest.raises(Stopped):
            work()
        assert begun.is_set() and not ended
    assert predictor.predict([TURNS]) == labelled, "nobody else is stopped"


def answered_together(predictor: Predictor, requests: list[Any]) -> tuple[list[Any], list[int]]:
    """Hold the model until all requests (dialogues, history) wait.

    Returns:
        The answers, and the number of requests in each batch.
    """
    batches: list[int] = []
    predict = predictor.predict_prepared

    def counted(prepared: Any, *rest: Any) -> Any:
        batches.append(len(prepared))
        return predict(prepared, *rest)

    async def ask() -> list[Any]:
        batcher = Batcher(predictor)
        tasks = [asyncio.create_task(batcher.predict(*request)) for request in requests]
        with predictor.alone():
            while sum(batches) + len(batcher._waiting) < len(tasks):
                await asyncio.sleep(0.001)
        return await asyncio.gather(*tasks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictor, "predict_prepared", counted)
        return asyncio.run(ask()), batches


def test_a_request_is_answered_in_a_batch_as_alone() -> None:
    predictor = tiny_predictor()
    histories = [{"Ann": ["i hate this"] * count} for count in range(20)]
    answers, batches = answered_together(predictor, [([TURNS], history) for history in histories])
    assert sum(batches) == 20 and len(batches) <= 3, "they share batches"
    for history, rows in zip(histories, answers, strict=True):
        assert [row["scores"] for row in rows[0]] == scores(predictor.predict([TURNS], [history])[0])


def test_requests_of_several_dialogues_share_batches_too() -> None:
    predictor = tiny_predictor()
    [short, turns] = predictor.predict([SHORT, TURNS])
    answers, batches = answered_together(predictor, [([SHORT, TURNS], {})] * 10)
    assert sum(batches) == 10 and len(batches) <= 2
    for answer in answers:
        assert [[row["scores"] for row in rows] for rows in answer] == [scores(short), scores(turns)]


def test_a_batch_is_bounded() -> None:
    predictor = tiny_predictor(speaker_memory="none")
    _, batches = answered_together(predictor, [([TURNS * 40], {})] * 5)
    assert sum(batches) == 5 and max(batches) == TURNS_PER_BATCH // 240


def test_a_request_is_tokenized_while_the_model_computes() -> None:
    predictor = tiny_predictor()
    encoded = threading.Event()
    prepare = predictor.prepare

    def watched(dialogues: Any, *rest: Any) -> Any:
        prepared = prepare(dialogues, *rest)
        if dialogues == [SHORT]:
            encoded.set()
        return prepared

    predictor.prepare = watched  # type: ignore[method-assign]

    async def ask() -> None:
        request = asyncio.create_task(Batcher(predictor).predict([SHORT], {}))
        with predictor.alone():  # another thread's pass
            assert await asyncio.to_thread(encoded.wait, 60)
        await request

    asyncio.run(ask())


def test_a_faulty_request_does_not_spoil_its_batch() -> None:
    predictor = tiny_predictor()

    async def ask() -> list[Any]:
        batcher = Batcher(predictor)
        requests = [
            batcher.predict([turns], {}) for turns in (SHORT, [{"speaker": "Ann"}], TURNS)
        ]  # the second has no text
        return await asyncio.gather(*requests, return_exceptions=True)

    good, bad, other = asyncio.run(ask())
    assert len(good[0]) == 2 and len(other[0]) == 6 and isinstance(bad, ValueError)


def test_a_request_that_was_given_up_blocks_nobody() -> None:
    predictor = tiny_predictor()

    async def ask() -> list[Any]:
        batcher = Batcher(predictor)
        long = asyncio.create_task(batcher.predict([TURNS * 200], {}))
        while not predictor._use.locked():
            await asyncio.sleep(0)
        long.cancel()
        return await batcher.predict([SHORT], {})

    assert len(asyncio.run(ask())[0]) == 2


@pytest.mark.parametrize("memory", ["none", "corpus"])
@pytest.mark.parametrize("later", [False, True], ids=["earlier labels", "all labels"])
def test_a_kept_dialogue_is_labelled_as_anew(tokenizer: Any, memory: str, later: bool) -> None:
    """Without encoding it again, whatever was known of it before."""
    predictor = Predictor(*taking_labels(tokenizer, speaker_memory=memory, max_sequence_tokens=48), "tiny")
    earlier = [{"speaker": "Bob", "text": "great we won"}]
    turns = [{"speaker": "AnnBob"[3 * (index % 2) :][:3], "text": f"hello {index}"} for index in range(12)]
    labels = predictor.labels
    kept = predictor.keep([earlier, turns])
    predictor.relabel(kept, {3: labels[2]}, later)  # taken back
    given = {1: labels[1], 8: labels[0]}
    rows = predictor.relabel(kept, given, later)
    known = [
        {**turn, **({"known_emotion": given[index]} if index in given else {})}
        for index, turn in enumerate(turns)
    ]
    found = predict_dialogues(predictor.model, predictor.processor, [earlier, known], use_later_labels=later)[
        1
    ]
    plain = predict_dialogues(predictor.model, predictor.processor, [earlier, turns])[1]
    for row, expected in zip(rows, found, strict=True):
        assert row["scores"] == pytest.approx(expected["scores"], abs=1e-4)
        assert (row["label"], row["source"]) == (expected["label"], expected["source"])
    moved = [
        index
        for index, (row, other) in enumerate(zip(rows, plain, strict=True))
        if row["scores"] != pytest.approx(other["scores"], abs=1e-3)
    ]
    assert 1 in moved and 11 in moved and (0 in moved) == later


def test_a_model_without_evidence_keeps_no_dialogue() -> None:
    with pytest.raises(EmoNetError, match="takes no known labels"):
        tiny_predictor().keep([[{"speaker": "Ann", "text": "hello"}]])
