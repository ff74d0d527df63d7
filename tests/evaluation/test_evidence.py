"""The labels of other turns as evidence."""

import numpy as np
import pytest

from emonet.evaluation.evidence import evidence, group_ids, label_counts, with_evidence


@pytest.mark.parametrize("causal", [False, True])
def test_counts_are_of_the_other_turns_of_the_group(causal: bool) -> None:
    rng = np.random.default_rng(0)
    gold, groups = rng.integers(0, 4, 60), rng.integers(0, 7, 60)
    expected = np.zeros((60, 4))
    for turn in range(60):
        for other in range(turn if causal else 60):
            if other != turn and groups[other] == groups[turn]:
                expected[turn, gold[other]] += 1
    assert (label_counts(gold, groups, 4, causal) == expected).all()


def test_nothing_known_says_nothing_and_much_says_all() -> None:
    prior = np.array([0.7, 0.2, 0.1])
    found = evidence(np.array([[0.0, 0, 0], [70, 20, 10], [0, 0, 1000]]), prior, 10)
    assert np.allclose(found[:2], 0, atol=1e-9)
    assert found[2, 2] == pytest.approx(np.log(1001 / 1010 / 0.1)) and found[2, 0] < -4


def test_labels_of_a_group_that_agrees_are_used_and_chance_is_not() -> None:
    rng = np.random.default_rng(1)
    gold = np.repeat(rng.integers(0, 3, 60), 10)  # 60 groups that agree
    logits = rng.normal(size=(600, 3))
    logits -= np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    folds = np.repeat(np.arange(600) // 200, 1)

    def right(groups: np.ndarray) -> float:
        sums = with_evidence(logits, gold, folds, label_counts(gold, groups, 3, False))
        return float((sums.argmax(-1) == gold).mean())

    alone = float((logits.argmax(-1) == gold).mean())
    assert alone < 0.45 and right(np.arange(600) // 10) > 0.9
    assert right(rng.integers(0, 60, 600)) < alone + 0.05


def test_settings_of_a_fold_come_from_the_others() -> None:
    """In fold 0 the labels of the group tell nothing, in the others everything."""
    rng = np.random.default_rng(2)
    gold = np.concatenate([rng.integers(0, 3, 100), np.repeat(rng.integers(0, 3, 20), 10)])
    folds, groups = np.repeat([0, 1, 2], 100), np.arange(300) // 10
    logits, counts = np.zeros((300, 3)), label_counts(gold, groups, 3, False)
    sums = with_evidence(logits, gold, folds, counts)
    assert np.abs(sums[:100]).max() > 0.8, "as strong as in the folds where it tells something"


def test_groups_are_combinations() -> None:
    found = group_ids(["a", "a", "b", "a"], [1, 2, 1, 1])
    assert list(found) == [0, 1, 2, 0]
