"""Significance tests on synthetic systems whose difference is known."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from emonet.errors import EmoNetError
from emonet.evaluation.significance import (
    METRICS,
    bootstrap_interval,
    compare_counts,
    dialogue_counts,
    holm,
    metric_of_counts,
)

CLASSES = 4


def corpus(rng: np.random.Generator, dialogues: int, longest: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Dialogues (N,) of different lengths, and gold labels (N,) of uneven classes."""
    owner = np.repeat(np.arange(dialogues), rng.integers(2, longest + 1, dialogues))
    return owner, rng.choice(CLASSES, len(owner), p=[0.4, 0.3, 0.2, 0.1])


def system(
    rng: np.random.Generator, owner: np.ndarray, gold: np.ndarray, skill: float, shift: np.ndarray | float = 0
) -> np.ndarray:
    """Predictions that are right with probability `skill` + `shift`, else random."""
    chance = skill + np.broadcast_to(shift, owner.max() + 1)[owner]
    return np.where(rng.random(len(gold)) < chance, gold, rng.integers(0, CLASSES, len(gold)))


def counts(
    rng: np.random.Generator, owner: np.ndarray, gold: np.ndarray, skill: float, seeds: int = 1
) -> np.ndarray:
    return np.stack(
        [dialogue_counts(gold, system(rng, owner, gold, skill), owner, CLASSES) for _ in range(seeds)]
    )


@pytest.mark.parametrize("seed", range(10))
def test_metrics_of_counts_equal_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    owner, gold = corpus(rng, 12)
    gold[gold == seed % CLASSES] = (seed + 1) % CLASSES  # a class that never occurs
    guess = rng.integers(0, CLASSES, len(gold))
    total = dialogue_counts(gold, guess, owner, CLASSES).sum(0)
    options = {"labels": range(CLASSES), "zero_division": 0}
    assert metric_of_counts(total, "weighted_f1") == pytest.approx(
        f1_score(gold, guess, average="weighted", **options)
    )
    assert metric_of_counts(total, "macro_f1") == pytest.approx(
        f1_score(gold, guess, average="macro", **options)
    )
    assert metric_of_counts(total, "accuracy") == pytest.approx(accuracy_score(gold, guess))
    for neutral in ([0], [], [1, 3]):
        others = [label for label in range(CLASSES) if label not in neutral]
        assert metric_of_counts(total, "micro_f1_no_neutral", neutral) == pytest.approx(
            f1_score(gold, guess, labels=others, average="micro", zero_division=0)
        )


def test_counts_stand_by_dialogue() -> None:
    found = dialogue_counts([0, 1, 1], [0, 0, 1], ["b", "a", "b"], 2)
    assert found.tolist() == [[[0, 0], [1, 0]], [[1, 0], [0, 1]]]


@pytest.mark.parametrize("metric", METRICS)
def test_identical_systems_do_not_differ(metric: str) -> None:
    rng = np.random.default_rng(0)
    same = counts(rng, *corpus(rng, 30), 0.4, seeds=3)
    result = compare_counts(same, same, metric, resamples=500)
    assert (result.difference, result.low, result.high) == (0, 0, 0)
    assert result.p_permutation == result.p_bootstrap == 1


def test_a_better_system_is_found_with_the_right_sign() -> None:
    rng = np.random.default_rng(1)
    owner, gold = corpus(rng, 60)
    weak, strong = counts(rng, owner, gold, 0.3), counts(rng, owner, gold, 0.6)
    result = compare_counts(weak, strong, resamples=2000)
    assert result.low > 0.1 and result.p_permutation < 0.001 and result.p_bootstrap < 0.001
    back = compare_counts(strong, weak, resamples=2000)
    assert back.difference == -result.difference and back.high < 0
    assert (result.n_dialogues, result.n_turns, result.seeds) == (60, len(gold), 1)
    expected = metric_of_counts(strong.sum((0, 1))) - metric_of_counts(weak.sum((0, 1)))
    assert result.difference == pytest.approx(float(expected))


def test_seeds_are_pooled_as_the_mean_of_their_differences() -> None:
    rng = np.random.default_rng(2)
    owner, gold = corpus(rng, 40)
    first, second = counts(rng, owner, gold, 0.4, seeds=5), counts(rng, owner, gold, 0.45, seeds=5)
    pooled = compare_counts(first, second, resamples=1000)
    alone = [compare_counts(first[seed], second[seed], resamples=1000) for seed in range(5)]
    assert pooled.seeds == 5 and pooled.difference == pytest.approx(
        np.mean([one.difference for one in alone])
    )
    assert pooled.high - pooled.low < np.mean([one.high - one.low for one in alone])


def test_results_depend_on_the_seed_alone() -> None:
    rng = np.random.default_rng(3)
    owner, gold = corpus(rng, 30)
    first, second = counts(rng, owner, gold, 0.4), counts(rng, owner, gold, 0.45)
    once, again, other = (compare_counts(first, second, resamples=300, seed=seed) for seed in (7, 7, 8))
    assert once == again and (once.low, once.p_permutation) != (other.low, other.p_permutation)
    assert once.difference == other.difference


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_permutation_test_of_a_few_dialogues_is_exact(seeds: int) -> None:
    """Swap whole dialogues in all ways, by hand and with scikit-learn."""
    rng = np.random.default_rng(4)
    owner, gold = corpus(rng, 7)
    pairs = [(system(rng, owner, gold, 0.2), system(rng, owner, gold, 0.6)) for _ in range(seeds)]

    def difference(swap: tuple[bool, ...]) -> float:
        moved = np.array(swap)[owner]
        scores = [
            [
                f1_score(gold, np.where(moved, b, a), average="weighted"),
                f1_score(gold, np.where(moved, a, b), average="weighted"),
            ]
            for a, b in pairs
        ]
        return float(np.mean([second - first for first, second in scores]))

    observed = abs(difference((False,) * 7))
    extreme = [abs(difference(swap)) >= observed - 1e-12 for swap in product((False, True), repeat=7)]
    first, second = (
        np.stack([dialogue_counts(gold, pair[k], owner, CLASSES) for pair in pairs]) for k in (0, 1)
    )
    assert compare_counts(first, second, resamples=128).p_permutation == np.mean(extreme)
    sampled = compare_counts(first, second, resamples=127).p_permutation
    assert sampled == pytest.approx(np.mean(extreme), abs=0.12) and sampled != np.mean(extreme)


def test_false_alarms_match_the_level() -> None:
    """Systems of equal skill on uneven dialogues: p < 0.05 in about 5 % of corpora."""
    rng = np.random.default_rng(5)
    alarms = {"permutation": 0, "bootstrap": 0}
    for _ in range(400):
        owner, gold = corpus(rng, 40)
        hard = rng.normal(0, 0.15, 40)
        pair = [dialogue_counts(gold, system(rng, owner, gold, 0.45, hard), owner, CLASSES) for _ in range(2)]
        result = compare_counts(*pair, resamples=250)
        alarms["permutation"] += result.p_permutation < 0.05
        alarms["bootstrap"] += result.p_bootstrap < 0.05
    assert 6 <= alarms["permutation"] <= 34, alarms  # 400 draws at 5 %: 20 ± 3.2 deviations of 4.36
    assert 6 <= alarms["bootstrap"] <= 40, alarms


def test_intervals_cover_the_truth_at_their_level() -> None:
    """95 % intervals of 300 corpora hold the figure of a very large one."""
    rng = np.random.default_rng(6)

    def draw(dialogues: int) -> tuple[np.ndarray, np.ndarray]:
        owner, gold = corpus(rng, dialogues)
        hard = rng.normal(0, 0.15, dialogues)
        first, second = (system(rng, owner, gold, skill, hard) for skill in (0.4, 0.5))
        return dialogue_counts(gold, first, owner, CLASSES), dialogue_counts(gold, second, owner, CLASSES)

    first, second = (metric_of_counts(counts.sum(0)) for counts in draw(50_000))
    inside = {"difference": 0, "value": 0}
    for _ in range(300):
        pair = draw(60)
        difference = compare_counts(*pair, resamples=300)
        value = bootstrap_interval(pair[0], resamples=300)
        inside["difference"] += difference.low <= second - first <= difference.high
        inside["value"] += value.low <= first <= value.high
    assert all(0.90 <= hits / 300 <= 0.98 for hits in inside.values()), inside


def test_an_interval_lies_around_the_mean_over_seeds() -> None:
    rng = np.random.default_rng(8)
    runs = counts(rng, *corpus(rng, 50), 0.5, seeds=3)
    result = bootstrap_interval(runs, "accuracy", resamples=1000)
    assert result.value == pytest.approx(np.mean([metric_of_counts(run.sum(0), "accuracy") for run in runs]))
    assert result.low < result.value < result.high and result.seeds == 3 and result.n_dialogues == 50
    assert bootstrap_interval(runs, "accuracy", resamples=1000, level=0.5).low > result.low


def test_holm_against_a_hand_computed_example() -> None:
    # Sorted: .005·4 = .02, .01·3 = .03, .03·2 = .06, .04·1 = .04, raised to .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []


def test_unpaired_counts_are_refused() -> None:
    rng = np.random.default_rng(9)
    owner, gold = corpus(rng, 5)
    one = counts(rng, owner, gold, 0.5)
    with pytest.raises(EmoNetError, match="different shapes"):
        compare_counts(one, one[:, :4])
    with pytest.raises(EmoNetError, match="not scored on the same turns"):
        compare_counts(one, counts(rng, owner, (gold + 1) % CLASSES, 0.5))
    with pytest.raises(EmoNetError, match="Unknown metric 'f1'"):
        bootstrap_interval(one, "f1")
    with pytest.raises(EmoNetError, match="none empty"):
        bootstrap_interval(one[:, :0])
