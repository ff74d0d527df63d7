"""Plot the pictures of a study's report as PNG, in percent."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..evaluation.calibration import Calibration
from ..evaluation.compare import p_text
from ..evaluation.pictures import save_picture
from ..evaluation.significance import Comparison, Contrast
from .table import DatasetTable

# Colour-blind people can tell these colours apart (Okabe & Ito 2008).
BLUE, ORANGE, GREY, SKY = "#0072B2", "#D55E00", "#7F7F7F", "#56B4E9"
_DPI = 100
_COLUMNS = 4


class Differences(NamedTuple):
    """Differences with their corrected p by name, and a name and a colour for all."""

    name: str
    found: Mapping[str, tuple[Comparison | Contrast, float]]
    colour: str


def from_reference(name: str, table: DatasetTable, colour: str) -> Differences:
    """The differences of a table's rows from its reference."""
    found = {
        row.name: (row.against, row.p_holm)
        for row in table.rows.values()
        if row.against is not None and row.p_holm is not None
    }
    return Differences(name, found, colour)


def plot_forest(path: Path, drawn: Sequence[Differences], about: str, title: str) -> None:
    """Plot differences with their intervals.

    A marker is filled if p is below 0.05 after Holm's correction.

    Args:
        path: The PNG.
        drawn: One or several groups, side by side.
        about: What the horizontal axis shows.
        title: The title.
    """
    names = list(dict.fromkeys(name for group in drawn for name in group.found))
    found = [
        (names.index(name) + position / len(drawn) * 0.8, difference, p, group.colour)
        for position, group in enumerate(drawn)
        for name, (difference, p) in group.found.items()
    ]
    figure, axes = _figure(10.5, 1.3 + 0.32 * len(found))
    axes.axvline(0, color=GREY, linewidth=1)
    for index, difference, p, colour in found:
        middle, low, high = (
            100 * value for value in (difference.difference, difference.low, difference.high)
        )
        axes.plot([low, high], [index, index], color=colour, linewidth=1.8, solid_capstyle="butt")
        fill = colour if p < 0.05 else "white"
        axes.plot(middle, index, "o", color=colour, markerfacecolor=fill, markersize=7)
        text = f"{middle:+6.2f} [{low:+6.2f}, {high:+6.2f}]  p {p_text(p)}"
        axes.annotate(
            text,
            (1.01, index),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
            family="monospace",
        )
    middles = [index + 0.4 * (len(drawn) - 1) / len(drawn) for index in range(len(names))]
    axes.set_yticks(middles, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color="#E5E5E5")
    axes.set_axisbelow(True)
    axes.set(xlabel=about, title=title)
    if len(drawn) > 1:
        handles = [axes.plot([], [], "o-", color=group.colour, label=group.name)[0] for group in drawn]
        axes.legend(handles=handles, loc="best", fontsize=9)
    save_picture(figure, path, _DPI)


def plot_per_class(
    path: Path, figures: Mapping[str, np.ndarray], labels: Sequence[str], reference: str
) -> None:
    """Plot each row's F1 by emotion as bars, with a line at the reference's mean.

    Args:
        path: The PNG.
        figures: Row → (S, C): F1 by seed and emotion, as fractions.
        labels: The emotions.
        reference: The name of the reference row.
    """
    names = list(figures)
    figure, panels = _figure(
        2.2 + 1.55 * len(labels), 1.3 + 0.3 * len(names), 1, len(labels), sharey=True, sharex=True
    )
    for index, (axes, label) in enumerate(zip(panels.flat, labels, strict=True)):
        means = [100 * figures[name][:, index].mean() for name in names]
        colours = [GREY if name == reference else BLUE for name in names]
        axes.barh(range(len(names)), means, color=colours, height=0.72)
        if reference in figures:
            axes.axvline(100 * figures[reference][:, index].mean(), color=ORANGE, linewidth=1.2)
        for position, value in enumerate(means):
            axes.text(value + 1, position, f"{value:.0f}", va="center", fontsize=8)
        axes.set_title(label, fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
    highest = max(100 * float(values.mean(0).max()) for values in figures.values())
    panels.flat[0].set_xlim(0, highest + 12)
    panels.flat[0].set_yticks(range(len(names)), names)
    panels.flat[0].set_ylim(len(names) - 0.4, -0.6)
    figure.supxlabel("F1 on test (%), mean over seeds", fontsize=10)
    save_picture(figure, path, _DPI)


def plot_confusions(path: Path, counts: Mapping[str, np.ndarray], labels: Sequence[str]) -> None:
    """Plot a confusion matrix for each row, in percent of the annotated emotion's turns.

    Args:
        path: The PNG.
        counts: Row → (C, C): annotated × predicted, summed over seeds.
        labels: The emotions.
    """
    figure, panels = _grid(len(counts), 2.9, 2.9, sharex=True, sharey=True)
    for axes, (name, matrix) in zip(panels, counts.items(), strict=False):
        shares = 100 * matrix / np.maximum(matrix.sum(-1, keepdims=True), 1)
        axes.imshow(shares, cmap="cividis", vmin=0, vmax=100)
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share < 55 else "black"
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=8, color=colour)
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8)
        axes.set_yticks(range(len(labels)), labels, fontsize=8)
        axes.set_title(_wrapped(name), fontsize=9.5)
    figure.supxlabel("predicted", fontsize=10)
    figure.supylabel("annotated (each line sums to 100 %)", fontsize=10)
    save_picture(figure, path, _DPI)


def plot_learning_curves(
    path: Path,
    epochs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]],
    reference: str,
    metric: str,
    title: str,
) -> None:
    """Plot a metric and the loss on validation by epoch, one panel for each row.

    Of the metric, seeds are thin lines, their mean is thick, the reference's mean is
    dashed. Of the loss, on an axis at the right, the mean is dotted.

    Args:
        path: The PNG.
        epochs: Row → for each seed the `epochs` of its run.json.
        reference: The name of the reference row.
        metric: The metric, a fraction.
        title: Its title, for the vertical axis.
    """
    curves = {name: [_curve(seed, metric, 100) for seed in seeds] for name, seeds in epochs.items()}
    losses = {name: _mean_curve([_curve(seed, "loss") for seed in seeds]) for name, seeds in epochs.items()}
    bounds = [value for _, values in losses.values() for value in values]
    figure, panels = _grid(len(curves), 2.9, 2.0, sharex=True, sharey=True)
    for axes, (name, seeds) in zip(panels, curves.items(), strict=False):
        for points in seeds:
            axes.plot(*points, color=SKY, linewidth=0.8)
        if reference in curves and name != reference:
            axes.plot(*_mean_curve(curves[reference]), color=ORANGE, linewidth=1.3, linestyle="--")
        axes.plot(*_mean_curve(seeds), color=BLUE, linewidth=2)
        axes.set_title(_wrapped(name), fontsize=9.5)
        axes.grid(color="#EEEEEE")
        if bounds:
            right = axes.twinx()
            right.plot(*losses[name], color=GREY, linewidth=1.3, linestyle=":")
            right.set_ylim(min(bounds) - 0.05, max(bounds) + 0.05)
            right.tick_params(labelsize=7, colors=GREY)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel(f"{title} (%)", fontsize=10)
    save_picture(figure, path, _DPI)


def plot_reliability(path: Path, results: Mapping[str, Calibration]) -> None:
    """Plot accuracy against confidence, one panel for each system.

    The diagonal is perfect calibration; grey bars show the share of turns in each bin.
    """
    figure, panels = _grid(len(results), 3.4, 3.4, sharex=True, sharey=True)
    for axes, (name, result) in zip(panels, results.items(), strict=False):
        middles, width = 100 * (result.edges[:-1] + result.edges[1:]) / 2, 100 * np.diff(result.edges)
        axes.bar(middles, 100 * result.n / result.n.sum(), width, color="#D9D9D9", label="share of turns")
        filled = result.n > 0
        axes.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle="--", label="calibrated")
        axes.plot(
            100 * result.confidence[filled],
            100 * result.accuracy[filled],
            "o-",
            color=BLUE,
            markersize=5,
            label="model",
        )
        axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
        axes.set_title(f"{_wrapped(name)}\nECE {100 * result.ece:.1f} %", fontsize=9.5)
    panels[0].legend(fontsize=8, loc="upper left")
    figure.supxlabel("confidence (%)", fontsize=10)
    figure.supylabel("turns that are right (%)", fontsize=10)
    save_picture(figure, path, _DPI)


def _figure(width: float, height: float, *shape: int, **options: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(*shape, squeeze=False, **options) if shape else figure.subplots()


def _grid(panels: int, width: float, height: float, **options: Any) -> tuple[Any, list[Any]]:
    """A figure with `panels` visible panels, row by row."""
    columns = min(panels, _COLUMNS)
    lines = math.ceil(panels / columns)
    figure, axes = _figure(0.6 + width * columns, 0.6 + (height + 0.35) * lines, lines, columns, **options)
    grid = list(axes.flat)
    for unused in grid[panels:]:
        unused.set_visible(False)
    for lowest in grid[max(panels - columns, 0) : panels]:  # in an incomplete last row too
        lowest.tick_params(labelbottom=True)
    return figure, grid[:panels]


def _curve(
    epochs: Sequence[Mapping[str, Any]], key: str, scale: float = 1
) -> tuple[list[float], list[float]]:
    points = [(row["epoch"], scale * row[key]) for row in epochs if key in row]
    return [point[0] for point in points], [point[1] for point in points]


def _mean_curve(curves: Sequence[tuple[list[float], list[float]]]) -> tuple[list[float], list[float]]:
    """The mean over seeds at the epochs that all seeds have."""
    shared = min(curves, key=lambda curve: len(curve[0]))[0]
    tables = [dict(zip(*curve, strict=True)) for curve in curves]
    kept = [epoch for epoch in shared if all(epoch in table for table in tables)]
    return kept, [float(np.mean([table[epoch] for table in tables])) for epoch in kept]


def _wrapped(name: str, width: int = 30) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(name, width))
