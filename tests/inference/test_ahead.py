"""A thread prepares one item ahead, and ends with its reader."""

import threading
from collections.abc import Iterator

import pytest

from emonet.inference.ahead import one_ahead


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "emonet-ahead"]


def test_items_come_in_order() -> None:
    assert list(one_ahead(range(100))) == list(range(100))
    assert list(one_ahead([])) == []
    assert not threads()


def test_an_item_is_prepared_while_another_one_is_used() -> None:
    prepared = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        prepared.set()
        yield 1

    used = one_ahead(items())
    assert next(used) == 0
    assert prepared.wait(60)  # without a thread nobody asks for the second item
    assert list(used) == [1]


def test_the_look_ahead_is_bounded() -> None:
    made = 0
    waits = threading.Event()

    def items() -> Iterator[int]:
        nonlocal made
        for made in range(1, 101):
            if made == 3:
                waits.set()
            yield made

    used = one_ahead(items())
    assert next(used) == 1
    waits.wait(60)
    assert made == 3  # one in use, one ready, one in the making
    used.close()
    assert made == 3 and not threads()


@pytest.mark.parametrize("error", [ValueError("row 3"), KeyboardInterrupt()])
def test_an_error_comes_after_the_items_before_it(error: BaseException) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise error

    used = one_ahead(items())
    assert next(used) == 1
    with pytest.raises(type(error)) as caught:
        next(used)
    assert caught.value is error and not threads()
