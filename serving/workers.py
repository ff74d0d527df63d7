"""The worker processes: started, asked whether they still answer, and replaced when they
died or hang.
"""

import asyncio
import logging
import multiprocessing
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from ..errors import EmoNetError
from .worker_process import READY, REFUSED, run

logger = logging.getLogger("emonet.serving")

TRIES = 3
ASK_EVERY = 2.0  # seconds
HEALTH = "http://worker/v1/health"


class CannotStart(Exception):
    """A worker did not come up. `final`: nor would it another time."""

    def __init__(self, reason: str, final: bool = False):
        super().__init__(reason)
        self.final = final


class Worker:
    """A process with a model of its own.

    Attributes:
        number: Its place among the workers; one that replaces it has the same.
        under_way: Requests that it is answering.
        session: The HTTP client that reaches it.
    """

    session: aiohttp.ClientSession

    def __init__(self, number: int, create: Callable[[], Any], address: str):
        self.number, self.under_way, self.address = number, 0, address
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=run, args=(create, address, theirs), daemon=True)
        # Ctrl+C and a service manager signal the whole group. The child inherits the
        # mask: the front alone ends it.
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        theirs.close()

    async def started(self) -> None:
        """Wait until it has its model and listens. CannotStart if that failed."""
        await _readable(self._pipe.fileno())
        try:
            word, reason = self._pipe.recv()
        except (EOFError, OSError):
            await self.ended()
            raise CannotStart(f"a worker ended while it was loading the model ({self.end})") from None
        if word != READY:
            raise CannotStart(reason, final=word == REFUSED)
        connector = aiohttp.UnixConnector(self.address, limit=0, keepalive_timeout=60)
        self.session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def ended(self) -> None:
        """Wait until the process is no more."""
        await _readable(self._process.sentinel)
        self._process.join()

    async def silent(self, seconds: float) -> None:
        """Ask again and again whether it answers, until it has not for `seconds`."""
        clock = asyncio.get_running_loop().time
        patience, answered = aiohttp.ClientTimeout(seconds), clock()
        while clock() - answered < seconds:
            await asyncio.sleep(min(ASK_EVERY, seconds))
            with suppress(aiohttp.ClientError, asyncio.TimeoutError):
                async with self.session.get(HEALTH, timeout=patience) as answer:
                    await answer.read()
                answered = clock()

    @property
    def end(self) -> str:
        """How the process ended, in words."""
        code = self._process.exitcode
        if code is None:
            return "no answer"
        return f"exit status {code}" if code >= 0 else f"signal {-code}"

    async def stop(self, seconds: float) -> None:
        """End it, by force if it takes longer."""
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
    """As many workers as there are applications, each kept alive.

    Args:
        applications: What makes each worker's application, in its process. The page is
            the first one's alone.
        page: Whether there is a page.
        silence: Seconds without an answer after which a worker counts as hanging.
    """

    def __init__(self, applications: Sequence[Callable[[], Any]], page: bool, silence: float):
        self.applications, self.page, self.silence = applications, page, silence
        self._folder = tempfile.mkdtemp(prefix="emonet-")  # nobody else may enter it
        self._ready: list[Worker] = []
        self._changed = asyncio.Condition()
        self._starts = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Wait for the first worker, then start the others beside it.

        Raises:
            EmoNetError: with the reason, if it cannot start.
        """
        first = await self._new(0, "The server cannot start")
        self._tasks = [asyncio.create_task(self._keep(0, first))]
        self._tasks += [
            asyncio.create_task(self._keep(number)) for number in range(1, len(self.applications))
        ]

    async def free(self, page: bool, but: Worker | None = None) -> Worker:
        """The worker with the least to do, as soon as there is one; for the page, the
        worker that has it.

        `but` is none of them: a request has just failed there, and its end may not be
        known yet.
        """

        def able() -> list[Worker]:
            return [
                worker
                for worker in self._ready
                if worker is not but and (worker.number == 0 or not (page and self.page))
            ]

        async with self._changed:
            await self._changed.wait_for(able)
            return min(able(), key=lambda worker: (worker.under_way, -worker.number))

    async def stop(self, seconds: float = 5.0) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop(seconds) for worker in self._ready))
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _keep(self, number: int, worker: Worker | None = None) -> None:
        """A worker, and the next one when it ends."""
        try:
            while True:
                worker = worker or await self._new(number, "A worker cannot start")
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

    async def _new(self, number: int, failure: str) -> Worker:
        for trial in range(1, TRIES + 1):
            self._starts += 1
            worker = Worker(number, self.applications[number], f"{self._folder}/{self._starts}")
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
        raise AssertionError


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()

    def is_there() -> None:
        if not there.done():
            there.set_result(None)

    loop.add_reader(descriptor, is_there)
    try:
        await there
    finally:
        loop.remove_reader(descriptor)
