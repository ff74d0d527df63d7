"""Score groups of turns: seen speakers, emotion shifts, first turns, confusions.

All functions are pure and take prediction rows. A row is one turn, as `emonet evaluate
--predictions` writes it: dialogue_id, turn, speaker, emotion (annotated, or None),
predicted, scores. A grouping gives the name of a group, or None, for each row;
`figures_by` then scores each group.
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
    """Score each group of rows; groups are in order of first appearance.

    Args:
        rows: Prediction rows.
        groups: The group of each row. Rows with None are left out.
        labels: Label names in order of their ids.

    Returns:
        For each group `n` (annotated turns), and `weighted_f1`, `macro_f1` and `accuracy`
        as fractions.
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
    """Score each speaker's turns; the speaker with the most turns is first."""
    figures = figures_by(rows, [_speaker(row) for row in rows], labels)
    return dict(sorted(figures.items(), key=lambda item: (-item[1]["n"], item[0])))


def shift_groups(rows: Sequence[Row], against: str = "speaker") -> list[str | None]:
    """Group turns by whether the annotated emotion changes from the previous turn.

    Args:
        rows: Prediction rows, in any order. Turns without an annotation are skipped.
        against: The turn to compare with: `speaker` for this speaker's previous turn in
            the dialogue (an emotion shift as in Poria et al. 2019, IEEE Access), `turn`
            for the dialogue's previous turn by any speaker.

    Returns:
        `shift` or `same` for each row; None for turns without an annotation or a previous
        turn.

    Raises:
        EmoNetError: for another `against`.
    """
    if against not in AGAINST:
        raise EmoNetError(f"against={against!r} is not one of {', '.join(AGAINST)}.")
    groups: list[str | None] = [None] * len(rows)
    previous: dict[Any, str] = {}
    for index in sorted(range(len(rows)), key=lambda index: turn_key(rows[index])):
        row = rows[index]
        if row["emotion"] is None:
            continue
        key = (row["dialogue_id"], _speaker(row)) if against == "speaker" else row["dialogue_id"]
        if key in previous:
            groups[index] = "same" if previous[key] == row["emotion"] else "shift"
        previous[key] = row["emotion"]
    return groups


def position_groups(rows: Sequence[Row]) -> list[str | None]:
    """Group turns into `first`, the one that opens its dialogue, and `later`."""
    opening: dict[str, int] = {}
    for row in rows:
        dialogue, turn = turn_key(row)
        opening[dialogue] = min(turn, opening.get(dialogue, turn))
    return ["first" if opening[turn_key(row)[0]] == row["turn"] else "later" for row in rows]


def speaker_groups(rows: Sequence[Row], known: Collection[str]) -> list[str | None]:
    """Group turns into `seen` and `unseen` speakers; roles like `The Waiter` are unseen.

    Args:
        rows: Prediction rows.
        known: The speakers of the training split: the names in `speakers.json`, or a
            `SpeakerRegistry`.
    """
    known = set(known)
    return ["seen" if _speaker(row) in known else "unseen" for row in rows]


def pair_confusion(rows: Sequence[Row], first: str, second: str) -> dict[str, Any]:
    """How often two emotions are confused with each other.

    Returns:
        `first` and `second`, each with `emotion`, `n` (turns annotated with it), `right`
        and `as_other` (fractions of these turns); and `confused`, the fraction of both
        emotions' turns that were predicted as the other one.
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
    """Find the two emotions that are confused most often.

    Args:
        rows: Prediction rows.
        labels: Label names in order of their ids.
        without: Labels to leave out, in lower case. Neutral is confused with all others.

    Raises:
        EmoNetError: if fewer than two labels remain.
    """
    rows = annotated(rows)
    names = [label for label in labels if label.lower() not in without]
    pairs = [(first, second) for index, first in enumerate(names) for second in names[index + 1 :]]
    if not pairs:
        raise EmoNetError(f"No two emotions to confuse in {', '.join(labels)}.")
    return max(pairs, key=lambda pair: pair_confusion(rows, *pair)["confused"])


def score_matrix(rows: Sequence[Row], labels: Sequence[str]) -> np.ndarray:
    """Predicted distributions (N, C) of the rows.

    Raises:
        EmoNetError: if a row has no score for some label.
    """
    try:
        return np.array([[row["scores"][label] for label in labels] for row in rows], dtype=float)
    except (KeyError, TypeError) as error:
        raise EmoNetError(
            "Some predictions have no score for every label; write them with `emonet evaluate --predictions`."
        ) from error


def _speaker(row: Row) -> str:
    if not row.get("speaker"):
        raise EmoNetError(
            f"Dialogue {row['dialogue_id']!r}, turn {row['turn']}: the prediction has no speaker; write it "
            "with `emonet evaluate --predictions`."
        )
    return str(row["speaker"])
