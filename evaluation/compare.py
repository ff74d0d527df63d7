"""Compare two systems on a test set: difference, interval, p, and changed turns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .metrics import neutral_ids
from .predictions import Row, annotated, counts_of, label_names, turn_key
from .scored_runs import ScoredRun, check_same_test_set, pair_by_seed
from .significance import RESAMPLES, Comparison, Interval, bootstrap_interval, compare_counts

METRIC_TITLES = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "micro_f1_no_neutral": "micro F1 without neutral",
    "accuracy": "accuracy",
}


@dataclass(frozen=True)
class TurnChange:
    """A turn that one system predicts correctly more often than the other.

    Attributes:
        kind: `fixed` (more of B's runs than of A's are correct) or `broken`.
        first: The prediction of most of A's runs.
        second: The prediction of most of B's runs.
        runs: How many more runs are correct.
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
    """The scores of systems A and B, their difference, and the changed turns.

    Attributes:
        seeds: (A's, B's) seed of each pair.
        fixed: Turns that only B predicts correctly, the mean over pairs.
        broken: Turns that only A predicts correctly, the mean over pairs.
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
    """Compare system B (`second`) with system A (`first`), with runs paired by seed.

    Raises:
        EmoNetError: for runs on different test sets, or seeds that do not match, naming
            the difference.
    """
    runs = [*first, *second]
    for run in runs:
        check_same_test_set(runs[0], run)
    pairs = pair_by_seed(first, second)
    labels = label_names([row for run in runs for row in run.rows])
    a, b = (np.stack([counts_of(pair[side].rows, labels) for pair in pairs]) for side in (0, 1))
    order = [turn_key(row) for row in annotated(runs[0].rows)]
    rows = [[_in_order(run, order) for run in pair] for pair in pairs]
    correct = np.array(  # (pairs, 2, turns)
        [[[row["predicted"] == row["emotion"] for row in run] for run in pair] for pair in rows]
    )
    neutral = neutral_ids(labels)
    return RunComparison(
        first=bootstrap_interval(a, metric, neutral=neutral, resamples=resamples),
        second=bootstrap_interval(b, metric, neutral=neutral, resamples=resamples),
        difference=compare_counts(a, b, metric, neutral=neutral, resamples=resamples),
        seeds=[(pair[0].seed, pair[1].seed) for pair in pairs],
        dataset_version=next((run.dataset_version for run in runs if run.dataset_version), None),
        fixed=float((~correct[:, 0] & correct[:, 1]).sum(-1).mean()),
        broken=float((correct[:, 0] & ~correct[:, 1]).sum(-1).mean()),
        changes=_changes(rows),
    )


def comparison_text(result: RunComparison, names: tuple[str, str], limit: int = 10) -> str:
    """The comparison as text, in percent; up to `limit` changed turns of each kind."""
    title = METRIC_TITLES[result.difference.metric]
    lines = [
        f"{letter}  {name}: {title} {_with_interval(score.value, score.low, score.high)}"
        for letter, name, score in zip("AB", names, (result.first, result.second), strict=True)
    ]
    comparison = result.difference
    interval = _with_interval(comparison.difference, comparison.low, comparison.high, "+")
    lines.append(
        f"B − A  {interval} points of {title}; p {p_text(comparison.p_permutation)} (permutation), "
        f"p {p_text(comparison.p_bootstrap)} (bootstrap)"
    )
    dataset = f"{result.dataset_version}, " if result.dataset_version else ""
    lines.append(
        f"       {dataset}{comparison.n_dialogues} dialogues, {comparison.n_turns} turns; "
        f"{_seeds_text(result.seeds)}; "
        f"{100 * comparison.level:.0f} % intervals over {comparison.resamples} resamples of dialogues"
    )
    pair = "" if comparison.seeds == 1 else ", mean of the pairs"
    lines.append(f"turns  {result.fixed:.5g} fixed, {result.broken:.5g} broken{pair}")
    for kind in ("fixed", "broken"):
        found = [change for change in result.changes if change.kind == kind]
        if found and limit:
            order = ", most pairs first" if comparison.seeds > 1 else ""
            lines.append(f"\n{kind}: {min(limit, len(found))} of {len(found)}{order}")
            lines += [_change_text(change, comparison.seeds) for change in found[:limit]]
    return "\n".join(lines)


def with_texts(result: RunComparison, texts: Mapping[tuple[str, int], str]) -> RunComparison:
    """Add texts to a comparison of predictions without text.

    Args:
        result: The comparison.
        texts: (dialogue, turn) → text.
    """
    changes = [
        replace(change, text=change.text or texts.get((change.dialogue_id, change.turn), ""))
        for change in result.changes
    ]
    return replace(result, changes=changes)


def p_text(p: float) -> str:
    """A p value with its sign of comparison: `= 0.012` or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _changes(pairs: Sequence[Sequence[Sequence[Row]]]) -> list[TurnChange]:
    """The fixed and broken turns: most pairs first, then in the order of the rows."""
    changes = []
    for index, row in enumerate(pairs[0][0]):
        predictions = [[pair[side][index]["predicted"] for pair in pairs] for side in (0, 1)]
        net = predictions[1].count(row["emotion"]) - predictions[0].count(row["emotion"])
        if not net:
            continue
        dialogue_id, turn = turn_key(row)
        first, second = (Counter(side).most_common(1)[0][0] for side in predictions)
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
    utterance = " ".join(
        part for part in (f"{change.speaker}:" if change.speaker else "", change.text) if part
    )
    verdict = f"{change.emotion}: {change.first} → {change.second}{often}"
    return f"  {change.dialogue_id} {change.turn}  {verdict}" + (f"  | {utterance}" if utterance else "")
