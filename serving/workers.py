"""Start workers, check that they answer, replace those that die or hang."""

import asyncio
import logging
import multiprocessing
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import aiohttp
from starlette.types import ASGIApp

from ..errors import EmoNetError
from .limits import HEALTH
from .worker_process import READY, REFUSED, run

logger = logging.getLogger("emonet.serving")

TRIES = 3
CHECK_EVERY = 2.0  # seconds


class CannotStart(Exception):
    """A worker did not start.

    Attributes:
        final: Whether another try would fail too.
    """

    def __init__(self, reason: str, final: bool = False):
        super().__init__(reason)
        self.final = final


class Worker:
    """A process with a model of its own.

    Attributes:
        index: Its index among the workers; its replacement has the same.
        under_way: The number of requests that it is answering.
        session: The HTTP client that reaches it, once it has started.
    """

    session: aiohttp.ClientSession

    def __init__(self, index: int, create: Callable[[], ASGIApp], address: str):
        self.index, self.under_way, self.address = index, 0, address
        context = multiprocessing.get_context("spawn")
        self._pipe, worker_end = context.Pipe()
        self._process = context.Process(target=run, args=(create, address, worker_end), daemon=True)
        # Ctrl+C and service managers signal the whole process group. The worker inherits
        # the blocked signals: the front alone stops it.
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        worker_end.close()

    async def started(self) -> None:
        """Wait until it has its model and listens.

        Raises:
            CannotStart: If that failed.
        """
        await _readable(self._pipe.fileno())
        try:
            state, reason = self._pipe.recv()
        except (EOFError, OSError):
            await self.ended()
            raise CannotStart(f"a worker ended while it was loading the model ({self.end})") from None
        if state != READY:
            raise CannotStart(reason, final=state == REFUSED)
        connector = aiohttp.UnixConnector(self.address, limit=0, keepalive_timeout=60)
        self.session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def ended(self) -> None:
        """Wait until the process has ended."""
        await _readable(self._process.sentinel)
        self._process.join()

    async def silent(self, seconds: float) -> None:
        """Check its health until it has not answered for `seconds`."""
        clock = asyncio.get_running_loop().time
        patience, answered = aiohttp.ClientTimeout(seconds), clock()
        while clock() - answered < seconds:
            await asyncio.sleep(min(CHECK_EVERY, seconds))
            with suppress(aiohttp.ClientError, asyncio.TimeoutError):
                async with self.session.get(f"http://worker{HEALTH}", timeout=patience) as answer:
                    await answer.read()
                answered = clock()

    @property
    def end(self) -> str:
        """How the process ended."""
        code = self._process.exitcode
        if code is None:
            return "no answer"
        return f"exit status {code}" if code >= 0 else f"signal {-code}"

    async def stop(self, seconds: float) -> None:
        """Stop it, by force if that takes over `seconds`."""
        self._pipe.close()
        if hasattr(self, "session"):
            await self.session.close()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.ended(), seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        Path(self.address).unlink(missing_ok=True)


class Workers:
    """One worker for each application, replaced when it ends.

    Args:
        applications: Called in the workers to create each one's application. Only the
            first one has the page.
        page: Whether there is a page.
        silence: Seconds without an answer after which a worker counts as hanging.

    Attributes:
        failed: The reason, once a worker can't be replaced.
    """

    def __init__(self, applications: Sequence[Callable[[], ASGIApp]], page: bool, silence: float):
        self.applications, self.page, self.silence = applications, page, silence
        self._folder = tempfile.mkdtemp(prefix="emonet-")  # which other users cannot enter
        self._ready: list[Worker] = []
        self._changed = asyncio.Condition()
        self._starts = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Wait for the first worker, then start the others beside it.

        Raises:
            EmoNetError: If the first one cannot start.
        """
        first = await self._new(0, "The server cannot start")
        self._tasks = [asyncio.create_task(self._keep(0, first))]
        self._tasks += [asyncio.create_task(self._keep(index)) for index in range(1, len(self.applications))]

    async def free(self, page: bool, other_than: Worker | None = None) -> Worker:
        """Wait for a worker and return the one with the fewest requests.

        Args:
            page: Whether it must be the worker that has the page.
            other_than: A worker that has just failed at the request; its end may not be
                known yet.
        """

        def candidates() -> list[Worker]:
            return [
                worker
                for worker in self._ready
                if worker is not other_than and (worker.index == 0 or not (page and self.page))
            ]

        async with self._changed:
            await self._changed.wait_for(candidates)
            return min(candidates(), key=lambda worker: (worker.under_way, -worker.index))

    async def stop(self, seconds: float = 5.0) -> None:
        """Stop all workers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop(seconds) for worker in self._ready))
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _keep(self, index: int, worker: Worker | None = None) -> None:
        """Keep a worker, and replace it when it ends."""
        try:
            while True:
                worker = worker or await self._new(index, "A worker cannot start")
                async with self._changed:
                    self._ready.append(worker)
                    self._changed.notify_all()
                ends = [
                    asyncio.ensure_future(worker.ended()),
                    asyncio.ensure_future(worker.silent(self.silence)),
                ]
                try:
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for end in ends:
                        end.cancel()
                    await asyncio.gather(*ends, return_exceptions=True)
                self._ready.remove(worker)
                logger.warning("A worker is replaced: %s", worker.end)
                await worker.stop(0)
                worker = None
        except EmoNetError as error:
            if not self.failed.done():
                self.failed.set_result(str(error))

    async def _new(self, index: int, failure: str) -> Worker:
        for trial in range(1, TRIES + 1):
            self._starts += 1
            worker = Worker(index, self.applications[index], f"{self._folder}/{self._starts}")
            try:
                await worker.started()
                return worker
            except CannotStart as error:
                await worker.stop(1)
                if error.final:
                    raise EmoNetError(str(error)) from None
                if trial == TRIES:
                    raise EmoNetError(f"{failure}, after {TRIES} tries: {error}") from None
                logger.warning("A worker could not start and is tried again: %s", error)
            except BaseException:
                await worker.stop(0)
                raise
        raise AssertionError("the last try raises")


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def is_readable() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(descriptor, is_readable)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)
