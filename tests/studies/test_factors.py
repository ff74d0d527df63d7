"""Factors of a study are crossed into rows, and their effects are contrasts of rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_study import run_study

from emonet.errors import EmoNetError
from emonet.evaluation.significance import compare_counts, contrasts_of_counts, metric_of_counts
from emonet.studies.factors import crossed, effects_of, weight_matrix
from emonet.studies.study import read_study

LEVELS = {
    "identity": ["none", "name"],
    "memory": ["off", "dialogue", "corpus"],
    "loss": ["plain", "weighted"],
}
FACTORS = {
    "memory": {"off": {}, "on": {"config": {"speaker_memory": "corpus"}}},
    "loss": {"plain": {}, "weighted": {"training": {"class_weighting": "inverse"}}},
}


def test_effects_recover_what_a_score_is_made_of() -> None:
    def score(identity: str, memory: str, loss: str) -> float:
        interaction = 5 * (identity == "name") * (memory == "corpus")
        return (
            40 + 3 * (identity == "name") - 2 * (memory == "corpus") + 7 * (loss == "weighted") + interaction
        )

    rows = crossed(LEVELS)
    effects = effects_of(LEVELS)
    assert list(rows)[:3] == ["none, off, plain", "none, off, weighted", "none, dialogue, plain"]
    found = weight_matrix(effects, list(rows)) @ [score(**levels) for levels in rows.values()]
    by_name = dict(zip((effect.name for effect in effects), found, strict=True))
    assert len(by_name) == (1 + 2 + 1) + (2 + 1 + 2)
    expected = {
        "identity: name": 3 + 5 / 3,  # over all levels of the memory
        "memory: dialogue": 0,
        "memory: corpus": -2 + 5 / 2,
        "loss: weighted": 7,
        "identity: name × memory: corpus": 5,
        "identity: name × memory: dialogue": 0,
        "memory: corpus × loss: weighted": 0,
    }
    assert {name: by_name[name] for name in expected} == pytest.approx(expected)


def test_a_contrast_of_two_systems_is_their_paired_comparison() -> None:
    random = np.random.default_rng(0)
    gold = random.integers(0, 3, (20, 9))
    counts = []
    for accuracy in (0.4, 0.6):
        matrices = np.zeros((2, 20, 3, 3), int)
        for seed, dialogue in np.ndindex(2, 20):
            guess = np.where(random.random(9) < accuracy, gold[dialogue], random.integers(0, 3, 9))
            np.add.at(matrices[seed, dialogue], (gold[dialogue], guess), 1)
        counts.append(matrices)
    expected = compare_counts(*counts, resamples=500)
    (found,) = contrasts_of_counts(counts, np.array([[-1, 1]]), resamples=500)
    assert [found.difference, found.low, found.high, found.p] == pytest.approx(
        [expected.difference, expected.low, expected.high, expected.p_bootstrap]
    )
    (level,) = contrasts_of_counts(counts[:1], np.ones((1, 1)), resamples=10)
    assert level.difference == pytest.approx(metric_of_counts(counts[0].sum(1)).mean())
    moved = counts[1].copy()
    moved[:, 0] = np.roll(moved[:, 0], 1, axis=1)
    with pytest.raises(EmoNetError, match="not scored on the same turns"):
        contrasts_of_counts([counts[0], moved], np.array([[-1, 1]]))


def test_rows_are_crossed_and_their_effects_reported(
    study: dict[str, Any], tmp_path: Path, cached: None
) -> None:
    given = {**study, "rows": {}, "factors": FACTORS, "reference": "off, plain", "pairs": [], "seeds": [1]}
    run_study({**given, "scores": ["on, weighted"]}, tmp_path / "results")
    report = (tmp_path / "results/report.md").read_text()
    assert "| memory: on × loss: weighted |" in report and "plots/sample-effects.png" in report
    assert (tmp_path / "results/plots/sample-effects.png").is_file()
    table = json.loads((tmp_path / "results/table.json").read_text())
    scores = {row["row"]: row["weighted_f1"]["mean"] for row in table["datasets"][0]["rows"]}
    (memory, loss, both) = table["effects"]["sample"]["public test set"]
    assert memory["effect"] == {"memory": "on"} and loss["effect"] == {"loss": "weighted"}
    with_memory, without = (
        scores[f"{level}, plain"] + scores[f"{level}, weighted"] for level in ("on", "off")
    )
    assert memory["difference"] == pytest.approx((with_memory - without) / 2)
    corners = [scores[name] for name in ("on, weighted", "off, weighted", "on, plain", "off, plain")]
    assert both["difference"] == pytest.approx(corners[0] - corners[1] - corners[2] + corners[3])
    file = tmp_path / "study.json"
    file.write_text(
        json.dumps({**given, "seeds": [1, 2], "factors": {**FACTORS, "more": {"a": {}, "b": {}}}})
    )
    with pytest.raises(EmoNetError, match="reference: no row 'off, plain'"):
        read_study(file)


def test_effects_wait_for_all_rows(study: dict[str, Any], tmp_path: Path, cached: None) -> None:
    given = {**study, "rows": {}, "factors": FACTORS, "reference": "off, plain", "pairs": [], "seeds": [1]}
    run_study(given, tmp_path / "results", "--only", "sample/off-plain")
    assert "**Missing:** effects need all rows" in (tmp_path / "results/report.md").read_text()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"factors": {}}, "rows or factors is missing"),
        ({"factors": {"loss": {"plain": {}}}}, "'loss': a factor has at least two levels"),
        ({"factors": {"a": {"x": {}, "y": {}}, "b": {"x": {}, "z": {}}}}, "the level 'x' is there twice"),
        (
            {"factors": {"loss": {"a": {"trainin": {}}, "b": {}}}},
            "factors, 'loss', 'a': unknown key 'trainin'",
        ),
        (
            {"factors": {"loss": {"a": {"training": {"no": 1}}, "b": {}}}},
            "'loss', 'a', training: unknown key 'no'",
        ),
        ({"factors": {"loss": ["a", "b"]}}, "factors, 'loss'.*is not an object"),
        ({"factors": FACTORS, "rows": {"off, plain": {}}}, "has the name of a combination"),
        (
            {
                "factors": {
                    "a": {"x": {}, "y": {"config": {"head_members": 2}}},
                    "b": {"z": {}, "w": {"config": {"head_members": 3}}},
                }
            },
            "two levels of the row 'y, w' set head_members",
        ),
    ],
)
def test_wrong_factors_are_refused(study: dict[str, Any], changes: Any, match: str, tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    file.write_text(json.dumps({**study, "rows": {}, "pairs": [], **changes}))
    with pytest.raises(EmoNetError, match=match):
        read_study(file)
