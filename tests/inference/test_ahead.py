"""A thread prepares blocks of items ahead, and ends with their reader."""

import threading
from collections.abc import Iterable, Iterator
from queue import Queue
from typing import Any

import pytest

from emonet.inference.ahead import blocks_ahead


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "emonet-ahead"]


def ones_ahead(items: Iterable[Any], most: int = 1, **options: Any) -> Any:
    return blocks_ahead(items, lambda item: 1, most, **options)


def test_items_come_in_order() -> None:
    assert [item for block in ones_ahead(range(100), 7) for item in block] == list(range(100))
    assert list(ones_ahead([])) == []
    assert not threads()


def test_blocks_grow_and_are_the_same_every_time() -> None:
    sizes = [len(block) for block in ones_ahead(range(30), 8, first=2)]
    assert sizes == [2, 4, 8, 8, 8]
    assert list(blocks_ahead([3, 0, 0, 9, 1], int, 4)) == [[3, 0], [0, 9], [1]]  # an empty one counts 1


def test_an_item_is_prepared_while_another_one_is_used() -> None:
    prepared = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        prepared.set()
        yield 1

    used = ones_ahead(items())
    assert next(used) == [0]
    assert prepared.wait(60)  # without a thread nobody asks for the second item
    assert list(used) == [[1]]


def test_the_look_ahead_is_bounded() -> None:
    made = 0
    waits = threading.Event()

    def items() -> Iterator[int]:
        nonlocal made
        while True:
            made += 1
            if made == 9:
                waits.set()
            yield made

    used = ones_ahead(items(), 4)
    assert next(used) == [1, 2, 3, 4]
    waits.wait(0.2)
    assert made == 8  # a block in use, and one that is ready
    used.close()
    assert made == 8 and not threads()


@pytest.mark.parametrize("error", [ValueError("row 3"), KeyboardInterrupt()])
def test_an_error_comes_after_the_items_before_it(error: BaseException) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise error

    used = ones_ahead(items(), 5)
    assert next(used) == [1]
    with pytest.raises(type(error)) as caught:
        next(used)
    assert caught.value is error and not threads()


def test_a_source_that_waits_for_the_results_gets_them() -> None:
    answers: Queue[int] = Queue()

    def items() -> Iterator[int]:
        number = 0
        while number < 3:
            yield number
            number = answers.get(timeout=60) + 1

    used = ones_ahead(items(), 100, patience=0.001)
    for number, block in enumerate(used):
        assert block == [number]
        answers.put(number)
    assert not threads()


def test_closing_does_not_wait_for_a_source_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emonet.inference.ahead._GRACE", 0.01)
    goes_on = threading.Event()
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield 1
            goes_on.wait(60)
            yield 2
            yield 3
        finally:
            closed.append("closed")

    used = ones_ahead(items(), 10, patience=0.001)
    assert next(used) == [1]
    used.close()
    [thread] = threads()
    goes_on.set()
    thread.join(60)
    del used
    assert not threads() and closed == ["closed"]
