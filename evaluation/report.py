"""Write a run's report: metrics, predictions and plots."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .pictures import save_picture

_OVERALL = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "micro_f1_no_neutral": "micro F1 without neutral",
    "accuracy": "accuracy",
    "weighted_f1_3class": "weighted F1, three classes",
}


def write_run_report(
    run_dir: Path,
    metrics: dict[str, Any],
    label_names: Sequence[str],
    history: Sequence[dict[str, Any]] | None = None,
    split: str = "test",
    first: str = "weighted_f1",
) -> None:
    """Write `metrics.json`, `confusion_matrix.png` and `learning_curves.png`.

    Args:
        run_dir: The run's folder; it is created if missing.
        metrics: The result of [`emotion_metrics`].
        label_names: Label names in order of their ids.
        history: A Trainer's log. Without it there are no learning curves.
        split: The split that was scored.
        first: The metric that chose the epoch, where it is one of the plotted F1.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "metrics.json").write_text(
        json.dumps({"split": split, **metrics}, indent=2, ensure_ascii=False) + "\n", "utf-8"
    )
    plot_confusion(run_dir / "confusion_matrix.png", metrics["confusion_matrix"], label_names, split)
    if history:
        plot_curves(run_dir / "learning_curves.png", history, first)


def write_predictions(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write predictions as JSON lines, one for each turn.

    A row has dialogue_id, turn, speaker, text, emotion (annotated, or None), predicted
    and scores.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def metrics_table(metrics: dict[str, Any], first: str = "weighted_f1") -> str:
    """Format metrics as text for a terminal, in percent, beginning with `first`."""
    lines = [
        f"{title:27s} {100 * metrics[key]:6.2f}"
        for key, title in sorted(_OVERALL.items(), key=lambda item: item[0] != first)
        if metrics.get(key) is not None
    ]
    if "ece" in metrics:
        lines.append(f"{'expected calibration error':27s} {100 * metrics['ece']:6.2f}")
    lines.append(f"{'turns':27s} {metrics['n']:6d}   {metrics.get('dataset_version', '')}")
    if unlabelled := metrics.get("unlabelled_turns"):
        lines.append(f"{'turns without a label':27s} {unlabelled:6d}   not scored")
    lines.append(f"\n{'':27s}     F1  precision  recall  turns")
    for name, row in metrics["per_class"].items():
        figures = f"{100 * row['f1']:6.2f}     {100 * row['precision']:6.2f}  {100 * row['recall']:6.2f}"
        lines.append(f"{name:27s} {figures}  {row['support']:5d}")
    return "\n".join(lines)


def plot_confusion(path: Path, matrix: list[list[int]], label_names: Sequence[str], split: str) -> None:
    """Plot the confusion matrix as PNG.

    A cell shows its count; its colour is the share of the row, the annotated emotion.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    shares = [[count / max(sum(row), 1) for count in row] for row in matrix]
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for row, counts in enumerate(matrix):
        for column, count in enumerate(counts):
            dark = shares[row][column] < 0.55
            axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    ticks = range(len(label_names))
    axes.set_xticks(ticks, label_names, rotation=45, ha="right")
    axes.set_yticks(ticks, label_names)
    axes.set(xlabel="predicted", ylabel="annotated", title=f"Confusion matrix, {split}")
    figure.colorbar(image, ax=axes, label="share of the annotated emotion")
    save_picture(figure, path, 120)


def plot_curves(path: Path, history: Sequence[dict[str, Any]], first: str = "weighted_f1") -> None:
    """Plot losses and validation F1 by epoch as PNG.

    A star marks the epoch with the highest value of the metric `first`; weighted F1 where
    that is no overall F1.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for key, title in (("loss", "training"), ("eval_loss", "validation")):
        points = [(entry["epoch"], entry[key]) for entry in history if key in entry]
        if points:
            left.plot(*zip(*points, strict=True), marker="o", markersize=3, label=title)
    left.set(xlabel="epoch", ylabel="loss", title="Loss")
    first = first if first in ("weighted_f1", "micro_f1_no_neutral") else "weighted_f1"
    for key, title, style in (
        (f"eval_{first}", _OVERALL[first], "-"),
        ("eval_macro_f1", "macro F1", "--"),
    ):
        points = [(entry["epoch"], 100 * entry[key]) for entry in history if key in entry]
        if not points:
            continue
        right.plot(*zip(*points, strict=True), style, marker="o", markersize=3, label=title)
        if key == f"eval_{first}":
            best = max(points, key=lambda point: point[1])
            right.annotate(
                f"best: {best[1]:.1f}", best, xytext=(0, 8), textcoords="offset points", ha="center"
            )
            right.plot(*best, "k*", markersize=11)
    right.set(xlabel="epoch", ylabel="validation F1 (%)", title="Selection on validation")
    right.margins(y=0.15)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.lines:
            axes.legend()
    save_picture(figure, path, 120)
