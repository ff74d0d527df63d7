"""The card says what the run's files say, keeps what people wrote, and gives nothing away."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import build
from tiny_training import encoded, trainer_for

from emonet.errors import EmoNetError
from emonet.evaluation.metrics import emotion_metrics
from emonet.hub.card import card_text, merge_card, usage_snippet, write_card

LABELS = ["Joyful", "Mad", "Neutral"]
EPOCHS = [
    {"epoch": 1, "train_loss": 1.9, "loss": 1.8, "weighted_f1": 0.31, "macro_f1": 0.2, "accuracy": 0.3},
    {"epoch": 2, "train_loss": 1.7, "loss": 1.7, "weighted_f1": 0.345, "macro_f1": 0.25, "accuracy": 0.35},
    {"epoch": 3, "train_loss": 1.5, "loss": 1.9, "weighted_f1": 0.33, "macro_f1": 0.24, "accuracy": 0.34},
]


def figures(split: str, shift: int) -> dict[str, Any]:
    gold = [0, 0, 1, 2, 2, 2, 1]
    metrics = emotion_metrics(gold, [0, 1, 1, 2, 2, shift, 1], LABELS)
    return {**metrics, "split": split, "dataset_version": "emorynlp-full-1.0.0"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder as `emonet train` and `emonet evaluate` leave it, small files only."""
    folder = tmp_path / "my-run"
    folder.mkdir()
    files: dict[str, Any] = {
        "config.json": {
            "backbone": "minilm",
            "id2label": {str(number): label for number, label in enumerate(LABELS)},
            "dataset_version": "emorynlp-full-1.0.0",
            "speaker_identity": "global",
            "speaker_memory": "corpus",
            "causal": True,
        },
        "run.json": {
            "preset": "emonet",
            "seed": 3,
            "best_epoch": 2,
            "epochs": EPOCHS,
            "config": {"speaker_memory": "corpus", "memory_window": 7},
            "training": {"learning_rate": 5e-5, "learning_rate_mapping": {"a|b": 1.0}},
            "parameters": 12345,
            "versions": {"torch": "2.13.0"},
        },
        "metrics.json": figures("validation", 0),
        "test_metrics.json": figures("test", 1),
        "speakers.json": {"version": 1, "speakers": ["Ann", "Bob"]},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), "utf-8")
    return folder


def front(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_metadata_holds_every_metric_of_the_test_set(run: Path) -> None:
    metadata = front(card_text(run, "user/model"))
    result = metadata["model-index"][0]["results"][0]
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    expected = json.loads((run / "test_metrics.json").read_text())
    assert result["dataset"]["split"] == "test" and result["dataset"]["revision"] == "1.0.0"
    assert values["weighted F1"] == pytest.approx(expected["weighted_f1"], abs=1e-6)
    assert values["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-6)
    for label, row in expected["per_class"].items():
        assert values[f"F1 of {label}"] == pytest.approx(row["f1"], abs=1e-6)
    assert metadata["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert metadata["datasets"] == ["emorynlp-full-1.0.0"]
    assert (metadata["license"], metadata["library_name"]) == ("apache-2.0", "transformers")


def test_the_tables_hold_the_figures(run: Path) -> None:
    card = card_text(run)
    expected = json.loads((run / "test_metrics.json").read_text())
    assert f"| weighted F1 | {100 * expected['weighted_f1']:.2f} |" in card
    for label, counts in zip(LABELS, expected["confusion_matrix"], strict=True):
        assert f"| **{label}** | " + " | ".join(map(str, counts)) + " |" in card
    assert "| **2** | **1.7000** | **1.7000** | **34.50** |" in card and "| 3 | 1.5000 |" in card
    assert "`memory_window`" in card and "`{'a\\|b': 1.0}`" in card  # a bar would end the cell
    assert "speaker_memory`" not in card  # its value is the default
    assert "κ about" in card and "2 persons known by name" in card


def test_without_test_figures_the_card_speaks_of_validation(run: Path) -> None:
    (run / "test_metrics.json").unlink()
    card = card_text(run)
    assert "## Results on validation" in card and "on test" not in card
    assert front(card)["model-index"][0]["results"][0]["dataset"]["split"] == "validation"
    (run / "metrics.json").unlink()
    assert front(card_text(run))["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.345


def test_a_bare_checkpoint_gets_a_card_without_empty_parts(run: Path) -> None:
    for name in ("run.json", "metrics.json", "test_metrics.json"):
        (run / name).unlink()
    card = card_text(run)
    assert "model-index" not in front(card)
    for part in ("results", "training"):
        assert f"emonet:begin {part}" not in card
    assert "## Results" not in card and "## Training" not in card and "\n\n\n" not in card


@pytest.mark.parametrize("version", ["meld-1.0.0", "sample-a1b2", "my-talks-12345678"])
def test_every_corpus_gets_its_notes(run: Path, version: str) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "dataset_version": version}))
    notes = card_text(run).split("## Data")[1].split("emonet:end")[0]
    assert version in notes and ("MELD" in notes) == version.startswith("meld") and len(notes) > 100


def test_edits_survive_and_figures_are_renewed(run: Path) -> None:
    path = write_card(run, "user/model")
    text = path.read_text().replace("## Limits and biases", "## Our own words\n\nHello.\n\n## Limits and biases")
    text = text.replace("license: apache-2.0", "license: mit\nowner: me").replace("- emonet\n", "- emonet\n- friends\n", 1)
    path.write_text(text)
    (run / "test_metrics.json").write_text(json.dumps(figures("test", 2)))
    write_card(run, "user/model")
    card = path.read_text()
    metadata = front(card)
    assert "## Our own words\n\nHello." in card
    assert metadata["license"] == "mit" and metadata["owner"] == "me" and "friends" in metadata["tags"]
    assert f"| accuracy | {100 * figures('test', 2)['accuracy']:.2f} |" in card
    assert card.count("## Results") == card.count("## Use") == 1


def test_a_deleted_part_stays_deleted(run: Path) -> None:
    generated = card_text(run)
    begin, end = generated.index("<!-- emonet:begin citation"), generated.index("<!-- emonet:end citation -->")
    shorter = generated[:begin] + generated[end + len("<!-- emonet:end citation -->") :]
    assert "## Citation" not in merge_card(shorter, generated)


@pytest.mark.parametrize("existing", ["# Mine\n\nAll by hand.\n", "---\nlicense: mit\n---\n# Mine\n\nAll by hand.\n", ""])
def test_a_card_of_ones_own_is_kept_whole(run: Path, existing: str) -> None:
    merged = merge_card(existing, card_text(run))
    assert merged.endswith(existing.rpartition("---\n")[2])
    assert "model-index" in front(merged) and "emonet:begin" not in merged


def test_merging_again_changes_nothing(run: Path) -> None:
    generated = card_text(run)
    for existing in (generated, generated.replace("## Limits", "Mine\n\n## Limits"), "# Mine\n", "---\ntags: [a]\n---\n# Mine\n"):
        once = merge_card(existing, generated)
        assert merge_card(once, generated) == once


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("<!-- emonet:begin usage -->\nx", "'usage' begins and does not end"),
        ("<!-- emonet:begin a -->\n<!-- emonet:begin b -->\n<!-- emonet:end b -->\n<!-- emonet:end a -->", "'a'"),
        ("---\nlicense: [\n---\n# x", "no YAML"),
    ],
)
def test_a_broken_card_is_named(run: Path, broken: str, message: str) -> None:
    with pytest.raises(EmoNetError, match=message):
        merge_card(broken, card_text(run))


def test_a_broken_file_of_the_run_is_named(run: Path) -> None:
    (run / "run.json").write_text("{")
    with pytest.raises(EmoNetError, match=r"run\.json"):
        card_text(run)


def test_the_cards_usage_runs(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, model.processor = build(tokenizer, "emonet")
    model.save_pretrained(tmp_path / "mine")
    snippet = usage_snippet((tmp_path / "mine" / "README.md").read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    *lines, last = snippet.strip().splitlines()
    scope: dict[str, Any] = {}
    exec("\n".join([*lines, f"rows = {last}"]), scope)
    assert [row["speaker"] for row in scope["rows"]] == ["Monica", "Ross"]


def test_a_trainer_leaves_a_card_with_its_history_and_no_secret(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    folder = tmp_path / "secret-place" / "tiny"
    trainer = trainer_for(
        encoded(tokenizer), folder, eval_strategy="epoch", num_train_epochs=2, learning_rate=3e-4, run_name="secret-name"
    )
    trainer.train()
    card = (folder / "README.md").read_text("utf-8")
    history = [entry["eval_weighted_f1"] for entry in trainer.state.log_history if "eval_weighted_f1" in entry]
    assert len(history) == 2
    for epoch, score in enumerate(history, 1):
        line = next(line for line in card.splitlines() if line.startswith((f"| {epoch} |", f"| **{epoch}** |")))
        assert f"{100 * round(score, 4):.2f}" in line
    assert "`learning_rate` | `0.0003`" in card
    assert "secret" not in card and str(tmp_path) not in card
    assert "secret" not in (folder / "run.json").read_text("utf-8")
