"""Prepare the next items in a thread while those before are used."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

_GRACE = 2.0  # seconds to wait for the thread's end: its source may never give another item


def blocks_ahead(
    items: Iterable[Item],
    size: Callable[[Item], int],
    most: int,
    first: int | None = None,
    patience: float | None = None,
) -> Generator[list[Item], None, None]:
    """Yield items in blocks; a thread prepares the next ones meanwhile.

    In memory are a block in use, as much again that is ready, and one item in the making.
    PyTorch and tokenizers release the interpreter's lock, so both work at a time. When
    the generator is closed the thread ends; where `items` waits for something else, with
    its next item.

    Args:
        items: Read in the thread.
        size: The size of an item, in turns or whatever `most` counts.
        most: A block is complete when its items reach this size together.
        first: The size of the first block, so that its results come early; it doubles
            from block to block up to `most`, which is the default.
        patience: For how many seconds a block that has an item waits for more. By default
            as long as it takes, so that the blocks are the same ones every time.

    Raises:
        Exception: what `items` raises, after the items before it.
    """
    buffer: _Buffer[Item] = _Buffer(most)

    def prepare() -> None:
        try:
            for item in items:
                if not buffer.put(item, max(1, size(item))):
                    break
                del item  # else it would stay until the next one is there
            buffer.end()
        except BaseException as error:
            buffer.end(error)

    thread = threading.Thread(target=prepare, name="emonet-ahead", daemon=True)
    thread.start()
    enough = min(first or most, most)
    try:
        while block := buffer.take(enough, patience):
            yield block
            enough = min(2 * enough, most)
        if buffer.error is not None:
            raise buffer.error
    finally:
        buffer.stop()
        thread.join(_GRACE)


class _Buffer(Generic[Item]):
    """Hold items between the thread that makes them and the one that uses them.

    Attributes:
        error: What ended the items, if anything.
    """

    def __init__(self, most: int):
        self._most = most
        self._items: deque[tuple[Item, int]] = deque()
        self._size = 0
        self._ended = self._stopped = False
        self._changed = threading.Condition()
        self.error: BaseException | None = None

    def put(self, item: Item, size: int) -> bool:
        """Add an item, and wait until there is room; return whether to go on."""
        with self._changed:
            self._items.append((item, size))
            self._size += size
            self._changed.notify()
            self._changed.wait_for(lambda: self._stopped or self._size < self._most)
            return not self._stopped

    def take(self, enough: int, patience: float | None) -> list[Item]:
        """Wait for items of the size `enough` and take them; none are left at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._size > 0)
            self._changed.wait_for(lambda: self._ended or self._size >= enough, patience)
            block: list[Item] = []
            while self._items and enough > 0:
                item, size = self._items.popleft()
                block.append(item)
                enough -= size
                self._size -= size
            self._changed.notify()
            return block

    def end(self, error: BaseException | None = None) -> None:
        """Say that no item follows."""
        with self._changed:
            self.error, self._ended = error, True
            self._changed.notify()

    def stop(self) -> None:
        """Say that nobody takes items any more."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify()
