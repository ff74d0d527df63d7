"""Compare measured figures with their targets, and format a table."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

Figures = dict[str, Any]


@dataclass(frozen=True)
class Ratio:
    """A figure computed from the cases of a round, and its target.

    Attributes:
        title: Name of the ratio in the table.
        cases: Names of the cases, in the order of the arguments of `value`.
        value: Computes the figure from the figures of the cases.
        sign: `>=` or `<=`, the required relation to the target.
        target: The target.
    """

    title: str
    cases: tuple[str, ...]
    value: Callable[..., float]
    sign: str
    target: float


def _per_turn(name: str) -> Callable[[Figures, Figures], float]:
    """The ratio of two cases in a figure per turn."""

    def ratio(first: Figures, second: Figures) -> float:
        return float((first[name] / first["turns"]) / (second[name] / second["turns"]))

    return ratio


def _by_packing(job: str) -> Callable[[Figures], float]:
    """What whole prompts cost / what packed prompts cost."""
    return lambda figures: float(figures[f"one_{job}_seconds"] / figures[f"packed_{job}_seconds"])


RATIOS = (
    Ratio(
        "training, published loop / EmoNet, time a turn",
        ("train_published", "train_emonet"),
        _per_turn("seconds"),
        ">=",
        20,
    ),
    Ratio(
        "training, per turn / packed, time a turn",
        ("train_per_turn", "train_emonet"),
        _per_turn("seconds"),
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
        "training, EmoNet in float32 / by default, time a turn",
        ("train_emonet_float32", "train_emonet"),
        _per_turn("seconds"),
        ">=",
        2,
    ),
    Ratio(
        "training, EmoNet / bare backbone, time",
        ("train_emonet", "train_bare_backbone"),
        _per_turn("seconds"),
        "<=",
        1.25,
    ),
    Ratio(
        "evaluation, published loop / EmoNet, time a turn",
        ("evaluate_published", "evaluate_emonet"),
        _per_turn("seconds"),
        ">=",
        20,
    ),
    Ratio(
        "evaluation, published loop / EmoNet in float32, time a turn",
        ("evaluate_published", "evaluate_emonet_float32"),
        _per_turn("seconds"),
        ">=",
        1,
    ),
    Ratio(
        "prediction from text, published loop / EmoNet, time a turn",
        ("evaluate_published", "predict_text"),
        _per_turn("seconds"),
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
        "first prediction from a checkpoint / import of AutoModelForSequenceClassification, "
        "time of the process",
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
        _per_turn("cpu_seconds"),
        ">=",
        1,
    ),
    Ratio(
        "language model, prompted / packed, tokens encoded a turn",
        ("lm_prompted", "lm_packed"),
        _per_turn("tokens"),
        ">=",
        1,
    ),
    *(
        Ratio(
            f"language model, one prompt a turn / packed prompts, {job}, processor time",
            ("lm_prompt_packing",),
            _by_packing(job),
            ">=",
            5,
        )
        for job in ("training", "prediction")
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
    """Compute each ratio by round, and its median, if its cases were run."""
    rows = []
    for ratio in RATIOS:
        if any(case not in rounds for case in ratio.cases):
            continue
        values = [
            ratio.value(*figures) for figures in zip(*(rounds[case] for case in ratio.cases), strict=True)
        ]
        middle = median(values)
        met = middle >= ratio.target if ratio.sign == ">=" else middle <= ratio.target
        rows.append(
            {
                "title": ratio.title,
                "rounds": values,
                "median": middle,
                "target": f"{ratio.sign} {ratio.target:g}",
                "met": met,
            }
        )
    return rows


def table_of(result: dict[str, Any]) -> str:
    """Format a Markdown table of the ratios and of every case's medians."""
    workload, rounds = result["workload"], len(next(iter(result["rounds"].values())))
    lines = [
        f"`{result['command']}`: {workload['turns']} turns in {workload['dialogues']} dialogues of "
        f"{workload['dataset_version']}, {result['threads']} threads, "
        f"medians of {rounds} rounds (lowest to highest).",
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
