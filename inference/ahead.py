"""Prepare the next item in a thread while the one before is used."""

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield items, of which a thread prepares the next one meanwhile.

    At most three are in memory: the one in use, one that is ready, and one in the making.
    PyTorch and tokenizers release the interpreter's lock, so both work at a time.

    Raises:
        Exception: what `items` raises, after the items before it.
    """
    ready: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def prepare() -> None:
        try:
            for item in items:
                ready.put((False, item))
                if stopped.is_set():
                    return
            ready.put((True, None))
        except BaseException as error:
            ready.put((True, error))

    thread = threading.Thread(target=prepare, name="emonet-ahead", daemon=True)
    thread.start()
    try:
        while True:
            is_last, item = ready.get()
            if not is_last:
                yield item  # type: ignore[misc]
            elif item is None:
                return
            else:
                raise item  # type: ignore[misc]
    finally:
        stopped.set()
        with suppress(queue.Empty):
            ready.get_nowait()  # the thread may wait for this place; it puts one more item at most
        thread.join()
