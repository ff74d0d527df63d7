"""Measure what a turn costs: late in a session, in training and in evaluation.

`python -m emonet.benchmarks.turn_costs sessions` times turn 5, the first turns with a
full window and turn 2,000 of a session for every causal preset; `… turn_costs training`
a turn's share of encoding, training and evaluation, by turns of a dialogue, known
speakers, history and layers. Both print JSON. The backbones have random weights, which
cost what trained ones cost. Times are those of the processor.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import mean, median
from typing import Any

import torch

from ..context.base import all_context_modules
from ..dialogue.turns import dialogue_memory_index
from ..inference.predict import predict_dialogues
from ..inference.session import EmoNetSession
from ..prompted.configuration import PromptSettings
from ..prompted.session import PromptedSession
from ..runs.prompted.presets import PROMPTED_PRESETS
from ..training.presets import PRESETS
from .tiny_models import TINY, TINY_DECODER, WORDS, build, build_prompted

NEAR = range(3, 8)


def session_cases() -> dict[str, dict[str, Any]]:
    """Every causal preset, each causal context module per turn, and both memories.

    Presets that differ in their training only are one case.
    """
    cases: dict[str, dict[str, Any]] = {}
    for name, preset in PRESETS.items():
        alike = [PRESETS[case["preset"]] for case in cases.values()]
        if not preset.sees_future and preset.config not in [other.config for other in alike]:
            cases[name] = {"preset": name}
    for name, module in all_context_modules().items():
        if not module.sees_future:
            overrides = {"context_mode": "per_turn", "context_window": 2, "context_module": name}
            cases[f"per turn, {name}"] = {"preset": "emonet-fast", **overrides}
    for scope in ("dialogue", "corpus"):
        cases[f"emonet-fast, {scope} memory"] = {"preset": "emonet-fast", "speaker_memory": scope}
    prompts: list[PromptSettings] = []
    for name, prompted in PROMPTED_PRESETS.items():
        if prompted.settings.causal and prompted.settings not in prompts:
            prompts.append(prompted.settings)
            cases[name] = {"preset": name}
    return cases


def measure_session(open_session: Callable[[], Any], turns: int, speakers: int) -> dict[str, float]:
    """Time a session's turns near the start, with a full window, and around turn `turns`.

    Returns:
        Milliseconds of the processor: medians near turn 5, of the first turns after one
        has left the window, and at `turns`; the mean there and the slowest; the ratios to
        turn 5 and to the full window; and what the session holds.
    """
    generator = random.Random(0)

    def add(session: Any, index: int) -> float:
        text = " ".join(generator.choices(WORDS, k=8))
        started = time.process_time()
        session.add(f"S{index % speakers}", text)
        return 1000 * (time.process_time() - started)

    long = open_session()
    full: list[float] = []
    rounds = max(1, min(20, turns // 12))
    late = range(turns - 6 * rounds, turns)
    for index in range(late.start):
        taken = add(long, index)
        if long.dropped_turns and len(full) < 40:
            full.append(taken)
    near: list[float] = []
    far: list[float] = []
    for step in range(rounds):  # in turns, so that a change of the machine's speed affects both
        fresh = open_session()
        times = [add(fresh, index) for index in range(max(NEAR))]
        near += times[NEAR.start - 1 :]
        far += [add(long, index) for index in late[6 * step : 6 * step + 6]]
    figures = {
        "ms_at_turn_5": median(near),
        f"ms_at_turn_{turns}": median(far),
        "ratio": median(far) / median(near),
        "ratio_of_means": mean(far) / mean(near),
        "slowest_ms": max(far),
        "megabytes": size_of(long) / 1e6,
    }
    if full:
        figures |= {"ms_with_full_window": median(full), "ratio_to_full": median(far) / median(full)}
    return figures


def size_of(session: Any) -> int:
    """Count the bytes of the tensors that a session holds."""
    found: dict[int, int] = {}

    def walk(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        elif isinstance(value, dict):
            for part in value.values():
                walk(part)
        elif hasattr(value, "__iter__") and not isinstance(value, (str, bytes)):
            for part in value:
                walk(part)
        elif hasattr(value, "__dict__") and not isinstance(value, torch.nn.Module):
            walk(vars(value))

    walk({name: part for name, part in vars(session).items() if name not in ("model", "processor", "config")})
    return sum(found.values())


def measure_sessions(
    backbone: str, turns: int, speakers: int, only: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Measure the cases one after another."""
    for name, case in session_cases().items():
        if only and name not in only:
            continue
        open_session: Callable[[], Any]
        if case["preset"] in PROMPTED_PRESETS:
            decoder = TINY_DECODER if backbone == TINY else backbone
            open_session = partial(PromptedSession, *build_prompted(decoder, **case))
        else:
            open_session = partial(EmoNetSession, *build(backbone, **case))
        figures = measure_session(open_session, turns, speakers)
        yield {"case": name, **{key: round(value, 3) for key, value in figures.items()}}


# -- training and evaluation


def step_cases() -> dict[str, dict[str, dict[str, int]]]:
    """What grows, and the sizes of each case."""
    return {
        "turns": {str(n): {"turns": n} for n in (10, 100, 1000)},
        "speakers": {str(n): {"speakers": n} for n in (10, 1000, 100_000)},
        "history": {str(n): {"history": n} for n in (0, 10, 100, 1000)},
        "history, all read": {str(n): {"history": n, "memory_window": 1000} for n in (0, 10, 100)},
        "layers": {str(n): {"layers": n} for n in (3, 6, 12)},
    }


def measure_steps(repeats: int = 3, total: int = 200) -> dict[str, dict[str, dict[str, float]]]:
    """Measure encoding, training and evaluation in each case.

    Args:
        repeats: How often to measure each; the median counts.
        total: Number of turns of all dialogues together, at least.

    Returns:
        For what grows and each size, milliseconds of the processor for a turn, without
        the time to build the model: `encode` is tokens and windows, `train` a pass with
        gradients and the optimizer's step, `evaluate` predictions from raw dialogues.
    """
    return {
        what: {size: _median_of(repeats, total, **case) for size, case in sizes.items()}
        for what, sizes in step_cases().items()
    }


def _median_of(repeats: int, total: int, **case: int) -> dict[str, float]:
    measured = [_measure_case(total, **case) for _ in range(repeats)]
    return {name: round(median(row[name] for row in measured), 3) for name in measured[0]}


def _measure_case(
    total: int,
    turns: int = 10,
    speakers: int = 10,
    history: int = 0,
    layers: int = 3,
    memory_window: int = 10,
) -> dict[str, float]:
    generator = random.Random(0)
    names = [f"Ann Meyer{index}" for index in range(speakers)]
    dialogues: list[list[dict[str, Any]]] = [
        [
            {
                "speaker": generator.choice(names),
                "text": " ".join(generator.choices(WORDS, k=8)),
                "emotion": 0,
            }
            for _ in range(turns)
        ]
        for _ in range(max(1, total // turns))
    ]
    said = [" ".join(generator.choices(WORDS, k=8)) for _ in range(history)]
    model, processor = build(
        TINY,
        "emonet-thesis",
        {name: index for index, name in enumerate(names, 1)},
        layers,
        num_speakers=speakers + 1,
        memory_window=memory_window,
    )
    count = len(dialogues) * turns
    processor.names()  # builds the index of known names, once for a model
    started = time.process_time()
    memory, examples = list(said), []
    earlier = {name: list(range(history)) for name in names[:100]}  # all have said the same
    for dialogue in dialogues:
        index = dialogue_memory_index(
            dialogue, memory_window, len(memory), {name: [*rows] for name, rows in earlier.items()}
        )
        memory += [turn["text"] for turn in dialogue]
        examples += processor.encode(dialogue, index)
    tokens = processor.encode_memory(memory)
    encoded = time.process_time()
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4)
    for first in range(0, len(examples), 8):
        model(**processor.collate(examples[first : first + 8], tokens)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    trained = time.process_time()
    histories = [{name: said for name in names[:100]}] * len(dialogues)
    predict_dialogues(model.eval(), processor, dialogues, histories)
    steps = (started, encoded, trained, time.process_time())
    return {
        name: 1000 * (end - start) / count
        for name, start, end in zip(("encode", "train", "evaluate"), steps[:-1], steps[1:], strict=True)
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m emonet.benchmarks.turn_costs", description=__doc__)
    parser.add_argument("what", choices=["sessions", "training"])
    parser.add_argument("--backbone", default=TINY)
    parser.add_argument("--turns", type=int, default=2000)
    parser.add_argument("--speakers", type=int, default=4)
    parser.add_argument("--only", nargs="+", default=())
    arguments = parser.parse_args(argv)
    if arguments.what == "training":
        print(json.dumps(measure_steps(), indent=1))
        return
    for row in measure_sessions(arguments.backbone, arguments.turns, arguments.speakers, arguments.only):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
