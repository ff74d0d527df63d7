"""Agreement of annotators, against published figures and by hand."""

import numpy as np
import pytest

from emonet.errors import EmoNetError
from emonet.evaluation.agreement import agreement, cohens_kappa, fleiss_kappa


def test_cohens_kappa_by_hand() -> None:
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: kappa is (0.7 - 0.5) / 0.5."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    first, second = zip(*pairs, strict=True)
    assert cohens_kappa(first, second) == pytest.approx(0.4)
    assert cohens_kappa(["y"], ["y"]) is None and cohens_kappa([], []) is None


def test_fleiss_kappa_of_the_paper() -> None:
    """The diagnoses of Fleiss 1971, in the shorter table of 10 items and 14 raters."""
    counts = [
        (0, 0, 0, 0, 14),
        (0, 2, 6, 4, 2),
        (0, 0, 3, 5, 6),
        (0, 3, 9, 2, 0),
        (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0),
        (3, 2, 6, 3, 0),
        (2, 5, 3, 2, 2),
        (6, 5, 2, 1, 0),
        (0, 2, 2, 3, 7),
    ]
    assert fleiss_kappa(np.array(counts)) == pytest.approx(0.20993, abs=1e-5)
    assert fleiss_kappa(np.array([[3], [3]])) is None


def test_turns_of_some_annotators_are_counted_apart() -> None:
    result = agreement(
        {
            "anna": ["Joy", "Joy", "Mad", None, None, "Sad"],
            "ben": ["Joy", "Mad", "Mad", "Joy", None, None],
            "cat": ["Joy", "Joy", "Mad", "Sad", None, None],
        }
    )
    assert (result.turns, result.labelled_by_all, result.labelled_by_some) == (6, 3, 2)
    assert result.counts["anna"] == {"Joy": 2, "Mad": 1, "Sad": 1}
    assert result.disagreements == [1, 3]
    first = result.pairs[0]
    assert (first.first, first.second, first.turns, first.agreed) == ("anna", "ben", 3, 2)
    assert (first.only_first, first.only_second) == (1, 1)
    assert first.kappa == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))
    assert result.fleiss_kappa == pytest.approx((7 / 9 - 41 / 81) / (1 - 41 / 81))


def test_nothing_in_common() -> None:
    result = agreement({"anna": ["Joy", None], "ben": [None, "Joy"]})
    assert result.fleiss_kappa is None and result.pairs[0].kappa is None and result.pairs[0].turns == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [({"anna": ["Joy"]}, "two annotators"), ({"a": ["x"], "b": []}, "different numbers")],
)
def test_what_is_refused(labels: dict[str, list[str | None]], message: str) -> None:
    with pytest.raises(EmoNetError, match=message):
        agreement(labels)
