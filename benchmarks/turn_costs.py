"""Measure what a turn costs: late in a session, in training and in evaluation.

`python -m emonet.benchmarks.turn_costs sessions` times turns 5, 200 and 2,000 of a
session for every causal preset; `… turn_costs training` a turn's share of encoding,
training and evaluation, by turns of a dialogue, known speakers, history and layers. Both
print JSON. The backbones have random weights, which cost what trained ones cost. Times
are those of the processor.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import mean, median
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, BertConfig, LlamaConfig, PreTrainedTokenizerFast

from ..backbones.embedded import resolve_backbone
from ..checkpoint.files import backbone_tokenizer
from ..configuration_emonet import EmoNetConfig, is_decoder_type
from ..context.base import all_context_modules
from ..dialogue.turns import dialogue_memory_index
from ..inference.predict import predict_dialogues
from ..inference.session import EmoNetSession
from ..modeling_emonet import EmoNetForSequenceClassification
from ..processing_emonet import EmoNetProcessor
from ..training.presets import PRESETS, preset_config

NEAR = range(3, 8)
_WORDS = [f"w{number}" for number in range(200)]
_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "vocab_size": 205,
}
_LABELS = ["Joyful", "Mad", "Neutral", "Peaceful", "Powerful", "Sad", "Scared"]


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
    return cases


def build(
    backbone: str, preset: str, speakers: Mapping[str, int] | None = None, layers: int = 3, **overrides: Any
) -> tuple[Any, EmoNetProcessor]:
    """A preset's model with random weights, and its processor.

    Args:
        backbone: `tiny`, `tiny-decoder`, or a backbone's name or folder.
        preset: The preset.
        speakers: Global ids by name.
        layers: Those of the tiny backbone.
        overrides: `EmoNetConfig` fields.
    """
    text_config: Any
    tokenizer: Any
    if backbone == "tiny":
        text_config, tokenizer = BertConfig(**_SIZES, num_hidden_layers=layers), _tokenizer()
    elif backbone == "tiny-decoder":
        text_config, tokenizer = LlamaConfig(**_SIZES, num_hidden_layers=layers), _tokenizer()
    else:
        text_config = AutoConfig.from_pretrained(resolve_backbone(backbone))
        tokenizer = backbone_tokenizer(backbone)
    is_decoder = is_decoder_type(text_config.model_type)
    fields = preset_config(preset, is_decoder, text_config.num_hidden_layers)
    torch.manual_seed(0)
    config = EmoNetConfig(
        text_config=text_config,
        id2label=dict(enumerate(_LABELS)),
        label2id={label: index for index, label in enumerate(_LABELS)},
        **{**fields, **overrides},
    )
    model: Any = EmoNetForSequenceClassification(config)
    return model.eval(), EmoNetProcessor(tokenizer, config, speakers)


def _tokenizer() -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*special, *_WORDS])}, "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    fast: Any = PreTrainedTokenizerFast
    result: PreTrainedTokenizerFast = fast(
        tokenizer_object=inner, **{f"{name}_token": special[index] for name, index in names.items()}
    )
    return result


def measure_session(open_session: Callable[[], Any], turns: int, speakers: int) -> dict[str, float]:
    """Time a session's turns near the start and around turn `turns`, in turns.

    Returns:
        Milliseconds of the processor: medians near turn 5, at turn 200 and at `turns`,
        the mean there and the slowest, and their ratios to turn 5.
    """
    generator = random.Random(0)

    def add(session: Any, index: int) -> float:
        text = " ".join(generator.choices(_WORDS, k=8))
        started = time.process_time()
        session.add(f"S{index % speakers}", text)
        return 1000 * (time.process_time() - started)

    long = open_session()
    middle = [add(long, index) for index in range(turns - 120)][180:220]
    near: list[float] = []
    far: list[float] = []
    for _ in range(20):  # in turns, so that a change of the machine's speed affects both
        fresh = open_session()
        times = [add(fresh, index) for index in range(max(NEAR))]
        near += times[NEAR.start - 1 :]
        far += [add(long, turns - 120 + len(far) + step) for step in range(6)]
    return {
        "ms_at_turn_5": median(near),
        "ms_at_turn_200": median(middle or far),
        f"ms_at_turn_{turns}": median(far),
        "ratio": median(far) / median(near),
        "ratio_of_means": mean(far) / mean(near),
        "slowest_ms": max(far),
        "megabytes": size_of(long) / 1e6,
    }


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
        model, processor = build(backbone, **case)
        figures = measure_session(partial(EmoNetSession, model, processor), turns, speakers)
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
                "text": " ".join(generator.choices(_WORDS, k=8)),
                "emotion": 0,
            }
            for _ in range(turns)
        ]
        for _ in range(max(1, total // turns))
    ]
    said = [" ".join(generator.choices(_WORDS, k=8)) for _ in range(history)]
    model, processor = build(
        "tiny",
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
    parser.add_argument("--backbone", default="tiny")
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
