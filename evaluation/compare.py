"""Two systems on the same test set: the difference with its interval and p, and the turns
that changed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .predictions import Row, annotated, counts_of, label_names, turn_key
from .scored_runs import ScoredRun, check_same_test_set, pair_by_seed
from .significance import RESAMPLES, Comparison, Interval, bootstrap_interval, compare_counts

METRIC_TITLES = {"weighted_f1": "weighted F1", "macro_f1": "macro F1", "accuracy": "accuracy"}


@dataclass(frozen=True)
class TurnChange:
    """A turn on which the two systems differ in being right.

    Attributes:
        kind: `fixed` (more of B's runs than of A's are right) or `broken`. runs: By how
            many. first / second: What A and B predicted, in most of their runs.
    """

    kind: str
    dialogue_id: str
    turn: int
    speaker: str
    text: str
    emotion: str
    first: str
    second: str
    runs: int


@dataclass(frozen=True)
class RunComparison:
    """System B against system A: both alone, their difference, and the turns that
    changed.

    Attributes:
        seeds: Of each pair, as (A's, B's). fixed / broken: Turns that only B, or only A,
            is right about; of a pair on average.
    """

    first: Interval
    second: Interval
    difference: Comparison
    seeds: list[tuple[int | None, int | None]]
    dataset_version: str | None
    fixed: float
    broken: float
    changes: list[TurnChange]


def compare_runs(
    first: Sequence[ScoredRun],
    second: Sequence[ScoredRun],
    metric: str = "weighted_f1",
    resamples: int = RESAMPLES,
) -> RunComparison:
    """System B (`second`) against system A (`first`), each its runs, paired by seed.

    Raises:
        EmoNetError: for runs on different test sets, or seeds that do not match; the
            message says what differs.
    """
    runs = [*first, *second]
    for run in runs:
        check_same_test_set(runs[0], run)
    pairs = pair_by_seed(first, second)
    labels = label_names([row for run in runs for row in run.rows])
    a, b = (np.stack([counts_of(pair[side].rows, labels) for pair in pairs]) for side in (0, 1))
    order = [turn_key(row) for row in annotated(runs[0].rows)]
    rows = [[_in_order(run, order) for run in pair] for pair in pairs]
    right = np.array([[[row["predicted"] == row["emotion"] for row in run] for run in pair] for pair in rows])
    return RunComparison(
        first=bootstrap_interval(a, metric, resamples=resamples),
        second=bootstrap_interval(b, metric, resamples=resamples),
        difference=compare_counts(a, b, metric, resamples=resamples),
        seeds=[(pair[0].seed, pair[1].seed) for pair in pairs],
        dataset_version=next((run.dataset_version for run in runs if run.dataset_version), None),
        fixed=float((~right[:, 0] & right[:, 1]).sum(-1).mean()),
        broken=float((right[:, 0] & ~right[:, 1]).sum(-1).mean()),
        changes=_changes(rows),
    )


def comparison_text(result: RunComparison, names: tuple[str, str], limit: int = 10) -> str:
    """The comparison for a terminal, in percent: both systems, difference, interval, p,
    and up to `limit` turns of each kind.
    """
    title = METRIC_TITLES[result.difference.metric]
    lines = [
        f"{letter}  {name}: {title} {_with_interval(one.value, one.low, one.high)}"
        for letter, name, one in zip("AB", names, (result.first, result.second), strict=True)
    ]
    each = result.difference
    lines.append(
        f"B − A  {_with_interval(each.difference, each.low, each.high, '+')} points of {title}; "
        f"p {p_text(each.p_permutation)} (permutation), p {p_text(each.p_bootstrap)} (bootstrap)"
    )
    where = f"{result.dataset_version}, " if result.dataset_version else ""
    lines.append(
        f"       {where}{each.n_dialogues} dialogues, {each.n_turns} turns; {_seeds_text(result.seeds)}; "
        f"{100 * each.level:.0f} % intervals over {each.resamples} resamples of dialogues"
    )
    pair = "" if each.seeds == 1 else ", mean of the pairs"
    lines.append(f"turns  {result.fixed:.5g} fixed, {result.broken:.5g} broken{pair}")
    for kind in ("fixed", "broken"):
        found = [change for change in result.changes if change.kind == kind]
        if found and limit:
            lines.append(
                f"\n{kind}: {min(limit, len(found))} of {len(found)}{', most pairs first' if each.seeds > 1 else ''}"
            )
            lines += [_change_text(change, each.seeds) for change in found[:limit]]
    return "\n".join(lines)


def with_texts(result: RunComparison, texts: Mapping[tuple[str, int], str]) -> RunComparison:
    """The comparison with what was said, for predictions that hold no text; `texts` by
    (dialogue, turn).
    """
    changes = [
        replace(change, text=change.text or texts.get((change.dialogue_id, change.turn), ""))
        for change in result.changes
    ]
    return replace(result, changes=changes)


def p_text(p: float) -> str:
    """What stands behind a p: three decimals, or that it is below the smallest of them."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _changes(pairs: Sequence[Sequence[Sequence[Row]]]) -> list[TurnChange]:
    """Turns that B is right about in more pairs than A, and the reverse; most pairs
    first, then in the rows' order.
    """
    changes = []
    for place, row in enumerate(pairs[0][0]):
        guesses = [[pair[side][place]["predicted"] for pair in pairs] for side in (0, 1)]
        net = guesses[1].count(row["emotion"]) - guesses[0].count(row["emotion"])
        if not net:
            continue
        dialogue_id, turn = turn_key(row)
        first, second = (Counter(side).most_common(1)[0][0] for side in guesses)
        changes.append(
            TurnChange(
                kind="fixed" if net > 0 else "broken",
                dialogue_id=dialogue_id,
                turn=turn,
                speaker=str(row.get("speaker") or ""),
                text=str(row.get("text") or ""),
                emotion=row["emotion"],
                first=first,
                second=second,
                runs=abs(net),
            )
        )
    return sorted(changes, key=lambda change: -change.runs)


def _in_order(run: ScoredRun, order: Sequence[tuple[str, int]]) -> list[Row]:
    table = {turn_key(row): row for row in run.rows}
    return [table[key] for key in order]


def _with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{100 * value:{sign}.2f} [{100 * low:{sign}.2f}, {100 * high:{sign}.2f}]"


def _seeds_text(seeds: Sequence[tuple[int | None, int | None]]) -> str:
    if len(seeds) == 1 and seeds[0][0] != seeds[0][1]:
        return " against ".join("unknown seed" if seed is None else f"seed {seed}" for seed in seeds[0])
    known = [str(seed) for seed, _ in seeds if seed is not None]
    return (
        f"{len(seeds)} pair of unknown seed"
        if not known
        else f"seed{'s' * (len(known) > 1)} {', '.join(known)}"
    )


def _change_text(change: TurnChange, pairs: int) -> str:
    often = "" if pairs == 1 else f" ({change.runs} of {pairs})"
    said = " ".join(part for part in (f"{change.speaker}:" if change.speaker else "", change.text) if part)
    verdict = f"{change.emotion}: {change.first} → {change.second}{often}"
    return f"  {change.dialogue_id} {change.turn}  {verdict}" + (f"  | {said}" if said else "")
