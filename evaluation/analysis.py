"""Where a model is right and where it isn't: pure functions over prediction rows.

A row is one turn, as `emonet evaluate --predictions` writes it: dialogue_id, turn,
speaker, emotion (annotated, or None), predicted, scores. A grouping names a group for
every row, or None; `figures_by` then scores each group.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import EmoNetError
from .predictions import Row, annotated, counts_of, turn_key
from .significance import METRICS, metric_of_counts

AGAINST = ("speaker", "turn")


def figures_by(
    rows: Sequence[Row], groups: Sequence[str | None], labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Group → `n` (annotated turns), `weighted_f1`, `macro_f1`, `accuracy` (fractions),
    in order of first appearance.
    """
    members: dict[str, list[Row]] = {}
    for row, group in zip(rows, groups, strict=True):
        if group is not None and row["emotion"] is not None:
            members.setdefault(group, []).append(row)
    results = {}
    for group, found in members.items():
        counts = counts_of(found, labels).sum(0)
        results[group] = {
            "n": len(found),
            **{metric: float(metric_of_counts(counts, metric)) for metric in METRICS},
        }
    return results


def by_speaker(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Figures of every speaker's turns, who speaks most first."""
    figures = figures_by(rows, [_speaker(row) for row in rows], labels)
    return dict(sorted(figures.items(), key=lambda item: (-item[1]["n"], item[0])))


def shift_groups(rows: Sequence[Row], against: str = "speaker") -> list[str | None]:
    """`shift` where the annotated emotion is another than before, `same` where it isn't,
    None where there is no before.

    Args:
        against: What is before: `speaker`, this speaker's previous turn in the dialogue
            (an emotion shift as in Poria et al. 2019, IEEE Access), or `turn`, the
            dialogue's previous turn by whomever. Only the annotated turns count.
    """
    if against not in AGAINST:
        raise EmoNetError(f"against={against!r} is not one of {', '.join(AGAINST)}.")
    groups: list[str | None] = [None] * len(rows)
    before: dict[Any, str] = {}
    for place in sorted(range(len(rows)), key=lambda place: turn_key(rows[place])):
        row = rows[place]
        if row["emotion"] is None:
            continue
        key = (row["dialogue_id"], _speaker(row)) if against == "speaker" else row["dialogue_id"]
        if key in before:
            groups[place] = "same" if before[key] == row["emotion"] else "shift"
        before[key] = row["emotion"]
    return groups


def place_groups(rows: Sequence[Row]) -> list[str | None]:
    """`first` for the turn that opens its dialogue, `later` for the others."""
    opening: dict[str, int] = {}
    for row in rows:
        dialogue, turn = turn_key(row)
        opening[dialogue] = min(turn, opening.get(dialogue, turn))
    return ["first" if opening[turn_key(row)[0]] == row["turn"] else "later" for row in rows]


def speaker_groups(rows: Sequence[Row], known: Collection[str]) -> list[str | None]:
    """`seen` where the speaker has an id of their own, `unseen` else; roles (`The
    Waiter`) have none.

    Args:
        known: The names of `speakers.json` (or a `SpeakerRegistry`): who spoke in
            training.
    """
    known = set(known)
    return ["seen" if _speaker(row) in known else "unseen" for row in rows]


def pair_confusion(rows: Sequence[Row], first: str, second: str) -> dict[str, Any]:
    """How often two emotions are taken for each other.

    Returns:
        `first` and `second`, each with `n` (turns annotated so), `right` and `as_other`
        (fractions of them); and `confused`, the fraction of both emotions' turns that
        were given the other of the two.
    """
    sides = {}
    for name, other in ((first, second), (second, first)):
        guesses = [row["predicted"] for row in rows if row["emotion"] == name]
        n = len(guesses)
        sides[name] = {
            "n": n,
            "right": guesses.count(name) / max(n, 1),
            "as_other": guesses.count(other) / max(n, 1),
        }
    total = sum(side["n"] for side in sides.values())
    confused = sum(side["as_other"] * side["n"] for side in sides.values()) / max(total, 1)
    return {
        "first": {"emotion": first, **sides[first]},
        "second": {"emotion": second, **sides[second]},
        "confused": confused,
    }


def most_confused_pair(
    rows: Iterable[Row], labels: Sequence[str], without: Collection[str] = ("neutral",)
) -> tuple[str, str]:
    """The two emotions with the largest share of their turns given the other's name;
    neutral aside, which draws from all.
    """
    rows = annotated(rows)
    names = [label for label in labels if label.lower() not in without]
    pairs = [(first, second) for place, first in enumerate(names) for second in names[place + 1 :]]
    if not pairs:
        raise EmoNetError(f"No two emotions to confuse in {', '.join(labels)}.")
    return max(pairs, key=lambda pair: pair_confusion(rows, *pair)["confused"])


def score_matrix(rows: Sequence[Row], labels: Sequence[str]) -> np.ndarray:
    """(N, C) the predicted distribution of every row; EmoNetError where a row has none."""
    try:
        return np.array([[row["scores"][label] for label in labels] for row in rows], dtype=float)
    except (KeyError, TypeError) as error:
        raise EmoNetError(
            "The predictions hold no scores of every label; `emonet evaluate --predictions` writes them."
        ) from error


def _speaker(row: Row) -> str:
    if not row.get("speaker"):
        raise EmoNetError(
            f"Dialogue {row['dialogue_id']!r}, turn {row['turn']}: the predictions don't say who speaks."
        )
    return row["speaker"]
