"""The measured figures as ratios against their targets, and as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

Figures = dict[str, Any]


@dataclass(frozen=True)
class Ratio:
    """A figure of the cases of one round, with what it should be (`>=` or `<=` the
    target).
    """

    title: str
    cases: tuple[str, ...]
    value: Callable[..., float]
    sign: str
    target: float


def _seconds_a_turn(first: Figures, second: Figures) -> float:
    return (first["seconds"] / first["turns"]) / (second["seconds"] / second["turns"])


def _cpu_seconds_a_turn(first: Figures, second: Figures) -> float:
    return (first["cpu_seconds"] / first["turns"]) / (second["cpu_seconds"] / second["turns"])


RATIOS = (
    Ratio(
        "training, published loop / EmoNet, time a turn",
        ("train_published", "train_emonet"),
        _seconds_a_turn,
        ">=",
        20,
    ),
    Ratio(
        "training, per turn / packed, time a turn",
        ("train_per_turn", "train_emonet"),
        _seconds_a_turn,
        ">=",
        1,
    ),
    Ratio(
        "training, EmoNet / published loop, peak memory of the process",
        ("train_emonet", "train_published"),
        lambda ours, theirs: ours["peak_mb"] / theirs["peak_mb"],
        "<=",
        0.5,
    ),
    Ratio(
        "training, EmoNet / bare backbone, time",
        ("train_emonet", "train_bare_backbone"),
        _seconds_a_turn,
        "<=",
        1.25,
    ),
    Ratio(
        "evaluation, published loop / EmoNet, time a turn",
        ("evaluate_published", "evaluate_emonet"),
        _seconds_a_turn,
        ">=",
        20,
    ),
    Ratio(
        "evaluation, published loop / EmoNet in bfloat16, time a turn",
        ("evaluate_published", "evaluate_emonet_bf16"),
        _seconds_a_turn,
        ">=",
        20,
    ),
    Ratio(
        "prediction from text, published loop / EmoNet, time a turn",
        ("evaluate_published", "predict_text"),
        _seconds_a_turn,
        ">=",
        1,
    ),
    Ratio(
        "streaming, turn 200 / turn 5, time",
        ("stream",),
        lambda stream: stream["seconds_by_turn"]["200"] / stream["seconds_by_turn"]["5"],
        "<=",
        1.2,
    ),
    Ratio(
        "`import emonet` / `import transformers`, time of the process",
        ("cold_start",),
        lambda start: start["seconds_import_emonet"] / start["seconds_import_transformers"],
        "<=",
        1.3,
    ),
    Ratio(
        "first prediction from a checkpoint / import of AutoModelForSequenceClassification, time of the process",
        ("cold_start",),
        lambda start: start["seconds_first_prediction"] / start["seconds_import_auto_model"],
        "<=",
        4,
    ),
    Ratio(
        "first prediction from a checkpoint / `import transformers` (without PyTorch), time of the process",
        ("cold_start",),
        lambda start: start["seconds_first_prediction"] / start["seconds_import_transformers"],
        "<=",
        4,
    ),
    Ratio(
        "language model, prompted / packed, processor time a turn",
        ("lm_prompted", "lm_packed"),
        _cpu_seconds_a_turn,
        ">=",
        1,
    ),
    Ratio(
        "language model, prompted / packed, tokens encoded a turn",
        ("lm_prompted", "lm_packed"),
        lambda prompted, packed: (
            (prompted["tokens"] / prompted["turns"]) / (packed["tokens"] / packed["turns"])
        ),
        ">=",
        1,
    ),
    Ratio(
        "memory cache, from the cache / built, time",
        ("build_memory_cache",),
        lambda cache: cache["seconds_from_cache"] / cache["seconds"],
        "<=",
        1,
    ),
)


def ratios_of(rounds: dict[str, list[Figures]]) -> list[dict[str, Any]]:
    """Each ratio within its round, and the median over rounds; ratios whose cases were
    not run are left out.
    """
    found = []
    for ratio in RATIOS:
        if any(case not in rounds for case in ratio.cases):
            continue
        values = [
            ratio.value(*figures) for figures in zip(*(rounds[case] for case in ratio.cases), strict=True)
        ]
        middle = median(values)
        met = middle >= ratio.target if ratio.sign == ">=" else middle <= ratio.target
        found.append(
            {
                "title": ratio.title,
                "rounds": values,
                "median": middle,
                "target": f"{ratio.sign} {ratio.target:g}",
                "met": met,
            }
        )
    return found


def table_of(result: dict[str, Any]) -> str:
    """Markdown: the ratios, then every case's medians."""
    workload, rounds = result["workload"], len(next(iter(result["rounds"].values())))
    lines = [
        f"`{result['command']}`: {workload['turns']} turns in {workload['dialogues']} dialogues of "
        f"{workload['dataset_version']}, {result['threads']} threads, medians of {rounds} rounds (lowest to highest).",
        "",
        "| ratio | measured | target | met |",
        "|---|---|---|---|",
    ]
    for row in result["ratios"]:
        spread = f"{row['median']:.2f} ({min(row['rounds']):.2f} to {max(row['rounds']):.2f})"
        lines.append(f"| {row['title']} | {spread} | {row['target']} | {'yes' if row['met'] else 'no'} |")
    lines += ["", "| case | turns/s | seconds | tokens encoded | peak memory, MiB |", "|---|---|---|---|---|"]
    for name, figures in result["medians"].items():
        speed = f"{figures['turns'] / figures['seconds']:.1f}" if "turns" in figures else ""
        tokens = f"{figures['tokens']:,.0f}" if "tokens" in figures else ""
        lines.append(f"| {name} | {speed} | {figures['seconds']:.2f} | {tokens} | {figures['peak_mb']:.0f} |")
    return "\n".join(lines) + "\n"
