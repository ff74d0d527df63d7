"""Take the emotions that are known of some turns, as `known_emotion` gives them.

It is another key than `emotion`, the gold label of a corpus, which no prediction reads.
"""

import json
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from ..errors import EmoNetError

KNOWN_EMOTION = "known_emotion"
NO_EVIDENCE = (
    "This model takes no known labels (known_emotion): it was trained without label_evidence. Leave them "
    "out, or train one that does: emonet train DATA --preset emonet-labels."
)
_TOLERANCE = 0.01  # by which a distribution may miss a sum of 1, as rounded ones do
_FORMS = 'Give a label, or a distribution over the labels: "Mad", or {"Mad": 0.7, "Sad": 0.3}'


def known_distribution(
    turn: Mapping[str, Any], label_names: Sequence[str], index: int = 0
) -> list[float] | None:
    """The distribution (C) under `known_emotion` of a turn; None where none is known.

    Args:
        turn: A turn.
        label_names: The labels of the model.
        index: The turn's index, for messages.

    Raises:
        EmoNetError: as [`distribution_of`].
    """
    return distribution_of(turn.get(KNOWN_EMOTION), label_names, f"Turn {index}")


def distribution_of(value: Any, label_names: Sequence[str], where: str) -> list[float] | None:
    """Convert a known emotion to a distribution (C) over the labels.

    Args:
        value: A label; a mapping of labels to probabilities, or one probability for each
            label, which may be written as JSON; None, NaN or an empty text for none.
        label_names: The labels of the model.
        where: Whose it is, for messages.

    Raises:
        EmoNetError: for an unknown label, several labels, or a distribution that is none.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if value[0] not in "{[":
            return _one_hot(value, label_names, where)
        try:
            value = json.loads(value)
        except ValueError:
            raise EmoNetError(f"{where}: known_emotion {value!r:.80} is not valid JSON. {_FORMS}.") from None
    if hasattr(value, "tolist"):  # an array or a tensor
        value = value.tolist()
    if isinstance(value, Mapping):
        for label in value:
            _check_label(label, label_names, where)
        return _distribution([value.get(label) or 0.0 for label in label_names], where)
    if not isinstance(value, (list, tuple)):
        raise EmoNetError(f"{where}: known_emotion is {type(value).__name__} ({value!r:.80}). {_FORMS}.")
    if value and all(isinstance(label, str) for label in value):
        labels = list(dict.fromkeys(value))
        if len(labels) == 1:
            return _one_hot(labels[0], label_names, where)
        raise EmoNetError(
            f"{where} has several known emotions ({', '.join(map(repr, labels))}): give one, or their "
            'probabilities: {"Mad": 0.5, "Sad": 0.5}.'
        )
    if len(value) != len(label_names):
        raise EmoNetError(
            f"{where}: known_emotion has {len(value)} numbers for {len(label_names)} labels "
            f"({', '.join(label_names)})."
        )
    return _distribution(value, where)


def check_one_known(first: Any, second: Any, where: str) -> None:
    """Refuse two known emotions of one turn that contradict each other."""
    if first is not None and second is not None and first != second:
        raise EmoNetError(
            f"{where} has two known emotions, {first!r:.80} and {second!r:.80}: keep the right one."
        )


def _one_hot(label: str, label_names: Sequence[str], where: str) -> list[float]:
    _check_label(label, label_names, where)
    return [float(name == label) for name in label_names]


def _check_label(label: Any, label_names: Sequence[str], where: str) -> None:
    if label not in label_names:
        raise EmoNetError(
            f"{where}: known_emotion {label!r:.80} is not a label of this model, which has "
            f"{', '.join(label_names)}."
        )


def _distribution(values: Sequence[Any], where: str) -> list[float]:
    numbers = [
        float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
        for value in values
    ]
    total = sum(numbers)
    if not all(0 <= number <= 1 + _TOLERANCE for number in numbers) or not abs(total - 1) <= _TOLERANCE:
        raise EmoNetError(
            f"{where}: known_emotion {list(values)!r:.120} is not a distribution: give probabilities from 0 "
            f"to 1 that add up to 1{'' if math.isnan(total) else f' (these add up to {total:.3g})'}."
        )
    return [number / total for number in numbers]
