"""Rebuild the tables and figures of `results.md` from `results/`.

    python docs/results_page.py            # write them
    python docs/results_page.py --check    # fail if a table is not what `results/` says

A table stands behind `<!-- table: NAME -->`, with a NAME of `TABLES`. Figures are
`images/results-*.png`.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from emonet.evaluation.pictures import save_picture
from emonet.studies.plots import BLUE, GREY, ORANGE, SKY

DOCS = Path(__file__).parent
PAGE = DOCS / "results.md"
IMAGES = DOCS / "images"
RESULTS = DOCS.parent / "results"
MARK = re.compile(r"(<!-- table: ([a-z-]+) -->\n\n)(?:\|.*\n)+")

Table = list[list[str]]
Row = Mapping[str, Any]


@cache
def content(file: str) -> Any:
    """A JSON file of `results/`."""
    return json.loads((RESULTS / file).read_text("utf-8"))


def rows_of(study: str, dataset: str = "emorynlp", part: str = "datasets") -> dict[str, Row]:
    """The rows of a study's table by name; `part` is `datasets` or `episode_folds`."""
    tables = content(f"{study}/table.json")[part]
    return {row["row"]: row for table in tables if table["dataset"] == dataset for row in table["rows"]}


def points(value: float, sign: str = "") -> str:
    return f"{100 * value:{sign}.2f}"


def score(row: Row) -> str:
    """For example `29.90 ± 0.43`; one seed has no deviation."""
    mean, sd = row["weighted_f1"]["mean"], row["weighted_f1"]["sd"]
    return points(mean) + (f" ± {points(sd)}" if sd is not None else "")


def score_within(row: Row) -> str:
    """A score with its interval."""
    low, high = row["interval"]
    return f"{score(row)} [{points(low)}, {points(high)}]"


def difference(found: Row | None) -> str:
    """A difference with its interval, bold where the corrected p is below 0.05."""
    if found is None:
        return ""
    value = points(found["difference"], "+")
    shown = f"**{value}**" if found["p_holm"] < 0.05 else value
    return f"{shown} [{points(found['low'], '+')}, {points(found['high'], '+')}]"


def p_value(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def compared(rows: Mapping[str, Row], names: Mapping[str, str]) -> Table:
    """A line for each row in `names`, under the name given there.

    It has the row's score, and its difference from the reference.
    """
    found = [(shown, rows[name], rows[name]["against_reference"]) for name, shown in names.items()]
    return [
        [shown, score_within(row), difference(against), p_value(against and against["p_holm"])]
        for shown, row, against in found
    ]


HEADER = ["row", "weighted F1", "difference from the first row", "p (Holm)"]
_ALL = "identity + memory, weighted (EmoNet)"


def rows_table(study: str, names: Sequence[str], dataset: str = "emorynlp") -> Table:
    return [HEADER, *compared(rows_of(study, dataset), dict(zip(names, names, strict=True)))]


def finetuned() -> Table:
    return rows_table("emorynlp-finetuned", ["context", "global identity", _ALL])


def cached() -> Table:
    names = ["context", "context, weighted", "global identity", "corpus memory", "identity + memory", _ALL]
    return rows_table("emorynlp-cached", names)


def meld() -> Table:
    names = ["context", "global identity", "identity + memory", _ALL]
    return rows_table("meld-thesis-rows", names, "meld")


def episodes() -> Table:
    folds = rows_of("emorynlp-episodes", part="episode_folds")
    public = rows_of("emorynlp-episodes")
    names = {
        "plain": "plain: one head, no names, logits as they are",
        "no names": "no names: five heads, adjusted logits",
        "emonet": "`emonet`: five heads, names, adjusted logits",
    }
    lines = compared(folds, names)
    for name, line in zip(names, lines, strict=True):
        row = public.get(name)
        line[3:] = [score(row), difference(row["against_reference"])] if row else ["", ""]
    return [["row", *HEADER[1:3], "public test set", "difference there"], *lines]


def ceiling() -> Table:
    rows = content("emorynlp-episodes/ceiling/ceiling.json")["rows"]
    gains: dict[str, dict[str, str]] = {}
    for row in rows:
        low, high = row["gain_interval"]
        gain = f"{points(row['gain'], '+')} [{points(low, '+')}, {points(high, '+')}]"
        gains.setdefault(row["labels_of"], {})[row["turns"]] = gain
    lines = [[labels, of["all others"], of["earlier"]] for labels, of in gains.items()]
    return [["annotated emotions of", "all other turns", "earlier turns only"], *lines]


def known_labels() -> Table:
    """What known labels of other turns bring, by folds of whole episodes."""
    rows = content("benchmarks/known_labels-emorynlp-smollm2.json")["rows"]
    lines = []
    for name, row in rows.items():
        difference, low, high = (points(row[part], "+") for part in ("difference", "low", "high"))
        shown = f"**{difference}**" if row["low"] > 0 else difference
        lines.append(
            [name, points(row["without evidence"]), points(row["value"]), f"{shown} [{low}, {high}]"]
        )
    return [["share of labels known", "`emonet`", "`emonet-labels`", "difference"], *lines]


def field() -> Table:
    """The systems of the field on frozen features, on three corpora."""
    corpora = {"emorynlp": "EmoryNLP full", "emorynlp-aligned": "EmoryNLP aligned", "meld": "MELD"}
    found = {corpus: rows_of("benchmark", corpus) for corpus in corpora}
    about = {
        "compm": "`compm-frozen` (the reference): CoMPM's memory, with a GRU as context model",
        "gru": "`gru`, the simplest context",
        "global-speaker": "`global-speaker`: `gru` with ids, memory and weighted loss",
    }
    lines = []
    for name, row in found["emorynlp"].items():
        line = [about.get(name, f"`{name}`"), "yes" if row["sees_future"] else "no"]
        for rows in found.values():
            best = max(rows.values(), key=lambda one: one["weighted_f1"]["mean"])["row"] == name
            against = rows[name]["against_reference"]
            star = " *" if against and against["p_holm"] < 0.05 else ""
            line.append((f"**{score(rows[name])}**" if best else score(rows[name])) + star)
        lines.append(line)
    return [["row", "sees the future", *corpora.values()], *lines]


def field_finetuned() -> Table:
    rows = rows_of("benchmark-finetuned").values()
    ordered = sorted(rows, key=lambda row: -row["weighted_f1"]["mean"])
    lines = [[f"`{row['row']}`", str(len(row["seeds"])), score(row)] for row in ordered]
    return [["row", "seeds", "weighted F1"], *lines]


# Preset → where its score is, for each group of the figure of costs.
_GROUPS = {
    "frozen MiniLM": ("minilm", {"compm": "compm-frozen", "gru": "emonet-fast"}, "benchmark"),
    "fine-tuned MiniLM": ("minilm", {}, "benchmark-finetuned"),
    "frozen SmolLM2": ("smollm2", {"compm": "compm-frozen"}, "emorynlp-hunt"),
    "SmolLM2, LoRA": ("smollm2", {}, "emorynlp-lm"),
}


def draw_costs(file: str) -> None:
    """Draw weighted F1 on EmoryNLP's public test set against what a turn costs."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.subplots()
    for (group, (backbone, presets, study)), colour in zip(
        _GROUPS.items(), (SKY, BLUE, ORANGE, GREY), strict=True
    ):
        points_of = {}
        for name, row in rows_of(study).items():
            preset = presets.get(name, name)
            tuned = f"{preset}-finetuned" if group == "fine-tuned MiniLM" else preset
            costs = content(f"benchmarks/preset_costs-{backbone}.json")["presets"]
            cost = costs.get(tuned, costs.get(preset))
            if cost is not None:
                points_of[name] = (cost, 100 * row["weighted_f1"]["mean"])
        axes.plot(*zip(*points_of.values(), strict=True), "o", color=colour, label=group)
        for name, point in points_of.items():
            axes.annotate(name, point, xytext=(4, 3), textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_xticks([6, 8, 10, 20, 40, 60], ["6", "8", "10", "20", "40", "60"])
    axes.minorticks_off()
    axes.set(
        xlabel="milliseconds of one processor a turn, float32",
        ylabel="weighted F1 on EmoryNLP's public test set (%)",
    )
    axes.grid(color="#E5E5E5")
    axes.legend(fontsize=8)
    save_picture(figure, IMAGES / file, 100)


def draw() -> None:
    """Write all figures."""
    draw_costs("results-costs.png")
    shutil.copy(RESULTS / "emorynlp-episodes/ceiling/ceiling.png", IMAGES / "results-ceiling.png")


TABLES: dict[str, Callable[[], Table]] = {
    "finetuned": finetuned,
    "cached": cached,
    "meld": meld,
    "episodes": episodes,
    "ceiling": ceiling,
    "known-labels": known_labels,
    "field": field,
    "field-finetuned": field_finetuned,
}


def markdown(table: Table) -> str:
    lines = [table[0], ["---"] * len(table[0]), *table[1:]]
    return "".join(f"| {' | '.join(line)} |\n".replace("  |", " |") for line in lines)


def rebuilt(page: str) -> str:
    """The page with its tables made anew.

    Raises:
        KeyError: for a table that is not in `TABLES`.
    """
    return MARK.sub(lambda found: found[1] + markdown(TABLES[found[2]]()), page)


def main(arguments: Sequence[str] | None = None) -> str | None:
    parser = argparse.ArgumentParser(description="Rebuild the tables and figures of results.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a table differs")
    check = parser.parse_args(arguments).check
    page = PAGE.read_text("utf-8")
    new = rebuilt(page)
    if check:
        return None if new == page else "docs/results.md: run python docs/results_page.py"
    PAGE.write_text(new, "utf-8")
    draw()
    return None


if __name__ == "__main__":
    sys.exit(main())
