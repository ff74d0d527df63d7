"""Show gold labels of some turns to a model as known, to score the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..constants import NO_LABEL
from ..dialogue.known_emotions import NO_EVIDENCE
from ..errors import EmoNetError
from ..inference.known_labels import Known

EARLIER = "earlier"


def checked_known(known_labels: float | str | None, config: Any) -> None:
    """Refuse a share that is none, and a model that takes no known labels.

    Args:
        known_labels: As in [`EvaluateOptions`].
        config: The model's configuration.
    """
    if known_labels is None:
        return
    is_share = isinstance(known_labels, float) and 0 < known_labels < 1
    if not is_share and known_labels != EARLIER:
        raise EmoNetError(
            f"known_labels={known_labels!r} is not a share of the turns (above 0 and below 1) or 'earlier'."
        )
    if not getattr(config, "label_evidence", False):
        raise EmoNetError(NO_EVIDENCE)


def known_version(known_labels: float | str, seed: int = 0) -> str:
    """What known labels add to the version of a corpus, so that every result says so."""
    return f"+known.{known_labels}" + ("" if known_labels == EARLIER else f".seed.{seed}")


def gold_as_known(
    dialogues: Sequence[Mapping[str, Any]],
    labels: int,
    known_labels: float | str,
    seed: int = 0,
    wrong: float = 0.0,
) -> tuple[list[Known], np.ndarray]:
    """Choose the turns whose gold label is shown.

    The turns of a share are random, and those of a larger share include them. With
    `earlier` all are shown: a turn reads those before it, never its own.

    Args:
        dialogues: Rows of the `dialogues` view.
        labels: The number of labels.
        known_labels: As in [`EvaluateOptions`].
        seed: Seed of the choice.
        wrong: The share of the shown labels that is replaced by another one.

    Returns:
        The known labels of each dialogue, and the turns (N,) that must not be scored.
    """
    random = np.random.default_rng(seed)
    share = 1.0 if known_labels == EARLIER else float(known_labels)
    known: list[Known] = []
    given: list[bool] = []
    for row in dialogues:
        turns = row["turns"]
        drawn = random.random((2, len(turns)))
        others = random.integers(1, labels, len(turns))
        found: list[list[float] | None] = []
        for index, turn in enumerate(turns):
            label = turn.get("emotion")
            if label is None or label == NO_LABEL or drawn[0, index] >= share:
                found.append(None)
                continue
            shown = (label + int(others[index])) % labels if drawn[1, index] < wrong else label
            found.append([float(index == shown) for index in range(labels)])
        known.append(found)
        given += [values is not None and known_labels != EARLIER for values in found]
    return known, np.array(given, dtype=bool)
