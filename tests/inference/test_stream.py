"""Streamed predictions equal those of all dialogues at once, with bounded memory."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import build, make_tokenizer

from emonet.inference import stream
from emonet.inference.predict import predict_dialogues
from emonet.inference.stream import predict_stream

TURN = st.fixed_dictionaries(
    {
        "speaker": st.sampled_from(["Ann", "Bob", "Cat", "The Waiter", "Zed "]),
        "text": st.sampled_from(["hello there how are you", "great we won", "no", "", "leave me alone"]),
    }
)
CORPUS = st.lists(st.lists(TURN, min_size=1, max_size=14), min_size=1, max_size=8)
# Short sequences, so that dialogues have several windows.
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "no memory": ("emonet-fast", "bert", {"speaker_memory": "none"}),
    "memory of the dialogue": ("emonet-thesis", "bert", {"memory_window": 2}),
    "memory of the corpus": ("emonet-thesis", "bert", {"speaker_memory": "corpus", "memory_window": 3}),
    "decoder": ("emonet-thesis", "llama", {"speaker_memory": "corpus", "memory_window": 2}),
    "one sequence a turn": ("compm", "bert", {}),
    "sequences and a context module": ("compm", "bert", {"context_module": "gru"}),
    "local speakers": ("compm", "bert", {"speaker_identity": "local", "identity_position": "marker"}),
}


@pytest.fixture(scope="module", params=MODELS)
def parts(request: Any) -> tuple[Any, Any]:
    preset, family, changes = MODELS[request.param]
    return build(make_tokenizer(), preset, family, {"max_position_embeddings": 24}, **changes)


def near(results: list[dict[str, Any]]) -> list[Any]:
    return [pytest.approx(result["scores"], abs=1e-5) for result in results]


@given(CORPUS, st.integers(1, 40), st.integers(1, 9))
def test_a_stream_equals_the_whole(
    parts: tuple[Any, Any], corpus: list[list[dict[str, str]]], look_ahead: int, block: int
) -> None:
    expected = [result for results in predict_dialogues(*parts, corpus) for result in results]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "_TURNS_AT_ONCE", block)
        blocks = list(predict_stream(*parts, map(iter, corpus), look_ahead=look_ahead))
    found = [result for results in blocks for result in results]
    assert [result["scores"] for result in found] == near(expected)


@given(CORPUS)
def test_dialogues_that_stand_alone(parts: tuple[Any, Any], corpus: list[list[dict[str, str]]]) -> None:
    expected = predict_dialogues(*parts, corpus, [{} for _ in corpus])
    found = [result for results in predict_stream(*parts, corpus, alone=True) for result in results]
    assert [result["scores"] for result in found] == near([row for rows in expected for row in rows])


@pytest.mark.parametrize("parts", ["memory of the corpus", "memory of the dialogue"], indirect=True)
def test_no_more_than_the_window_of_each_speaker_is_kept(parts: tuple[Any, Any]) -> None:
    def dialogues() -> Iterator[list[dict[str, str]]]:
        for index in range(60):
            yield [{"speaker": name, "text": "no"} for name in ("Ann", f"Waiter {index}", "Ann")]

    kept = []
    for index, _ in enumerate(predict_stream(*parts, dialogues(), look_ahead=10)):
        if index % 4 != 3:  # looking at every object takes its time
            continue
        gc.collect()
        kept.append(sum(type(item) is stream._Utterance for item in gc.get_objects()))
    # Three look-aheads, one of them in use, and the windows of three speakers.
    assert len(kept) > 2 and max(kept) <= 3 * 10 + 3 * 3


def test_a_long_dialogue_is_read_as_it_is_predicted() -> None:
    """With a limit of 24 tokens, a window closes after a few of the 4,000 turns."""
    parts = build(make_tokenizer(), "emonet-thesis", "bert", {"max_position_embeddings": 24})
    read = 0

    def turns() -> Iterator[dict[str, str]]:
        nonlocal read
        for index in range(4000):
            read += 1
            yield {"speaker": "AB"[index % 2], "text": "no"}

    first = next(predict_stream(*parts, [turns()], look_ahead=512))
    assert first and read <= 512 + 2 * stream._TURNS_AT_ONCE
