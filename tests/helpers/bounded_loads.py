"""Run loads that may be attacks, each in a fork with bounded memory and time."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

# For a load alone: the forks share the imports. An honest one takes 0.1 s.
MEMORY, SECONDS = 600 * 2**20, 60


class BoundedLoads:
    """`loads(code)` returns `LOADED`, the error's classes and message, or `DIED`."""

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
    """Bound the further memory and time of this process."""
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
            result = "LOADED"
        except BaseException as error:
            result = f"{[cls.__name__ for cls in type(error).__mro__]} {error}"[:500]
        os.write(write, result.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    return result or f"DIED {status}"


if __name__ == "__main__":
    # Everything that loads import, so that the forks do not import it again and again.
    from transformers import BertModel, LlamaForCausalLM  # noqa: F401

    import emonet.adapters.lora
    import emonet.modeling_emonet
    import emonet.prompted.modeling  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a load must not print into the answers
    for line in sys.stdin:
        answers.write(json.dumps(_loaded(json.loads(line))) + "\n")
        answers.flush()
