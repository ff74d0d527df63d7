"""Loads that may be attacks: each in a fork with bounded memory and time, of a process
that has the imports behind it.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

MEMORY, SECONDS = 600 * 2**20, 60  # beyond what the imports take; real loads here take 0.1 s


class BoundedLoads:
    """`loads(code)` says `LOADED`, the error's classes and message, or `DIED` of a bound."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, code: str) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        return str(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


def bound() -> None:
    """Bound the memory and the time of this process from here on."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    signal.alarm(2 * SECONDS)


def _loaded(code: str) -> str:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        bound()
        try:
            exec(code, {})
            said = "LOADED"
        except BaseException as error:
            said = f"{[each.__name__ for each in type(error).__mro__]} {error}"[:500]
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    return said or f"DIED {os.waitpid(child, 0)[1]}"


if __name__ == "__main__":
    import transformers  # noqa: F401

    import emonet.adapters.lora  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a load prints is no answer
    for line in sys.stdin:
        answers.write(json.dumps(_loaded(json.loads(line))) + "\n")
        answers.flush()
