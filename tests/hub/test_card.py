"""The card holds every figure, keeps edits, and reveals nothing of the machine."""

import json
import os
import re
import socket
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import LABELS, build
from tiny_training import encoded, trainer_for

from emonet.errors import EmoNetError
from emonet.evaluation.metrics import emotion_metrics
from emonet.hub.card import card_text, is_edited, merge_card, usage_snippet, write_card

VERSION = "emorynlp-full-1.0.0"
CONFIG = {
    "backbone": "minilm",
    "dataset_version": VERSION,
    "id2label": {str(number): label for number, label in enumerate(LABELS)},
    "speaker_identity": "global",
    "speaker_memory": "corpus",
}
RUN = {
    "preset": "emonet",
    "backbone": "minilm",
    "seed": 7,
    "dataset_version": VERSION,
    "config": {"pooling": "mean", "memory_hidden_size": 128},
    "training": {
        "learning_rate": 5e-05,
        "learning_rate_mapping": {r"^(a|b)\b": 0.0005},
        "class_weighting": "inverse",
    },
    "best_epoch": 2,
    "epochs": [
        {"epoch": 1, "train_loss": 1.9, "loss": 1.8, "weighted_f1": 0.3, "macro_f1": 0.21, "accuracy": 0.25},
        {
            "epoch": 2,
            "train_loss": 1.7,
            "loss": 1.7,
            "weighted_f1": 0.3512,
            "macro_f1": 0.24,
            "accuracy": 0.31,
        },
        {"epoch": 3, "train_loss": 1.5, "loss": 1.9, "weighted_f1": 0.34, "macro_f1": 0.25, "accuracy": 0.32},
    ],
    "parameters": 45_456_007,
    "trainable_parameters": 22_890_631,
    "seconds": {"train": 1558.0},
    "versions": {"emonet": "0.1.0", "torch": "2.13.0"},
}
VALIDATION = {
    "split": "validation",
    **emotion_metrics([0, 1, 2, 3, 4, 5, 6, 2], [0, 1, 2, 2, 4, 5, 6, 1], LABELS),
}
TEST = {**emotion_metrics([0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 2, 3, 5, 5], LABELS), "split": "test"}
FILES = {
    "config.json": CONFIG,
    "run.json": RUN,
    "metrics.json": {**VALIDATION, "dataset_version": VERSION},
    "test_metrics.json": {**TEST, "dataset_version": VERSION},
    "speakers.json": {"version": 1, "speakers": ["Monica Geller", "Ross Geller"]},
}
OVERALL = [key for key, value in TEST.items() if isinstance(value, float)]
MARKER = re.compile(r"<!-- emonet:(begin|end) (\w+) -->")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "run")


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names or FILES:
        (folder / name).write_text(json.dumps(FILES[name]), "utf-8")
    return folder


def change(folder: Path, name: str, **values: Any) -> None:
    (folder / name).write_text(json.dumps({**FILES[name], **values}), "utf-8")


def metadata(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def body(card: str) -> str:
    return card.split("---\n", 2)[2]


def tables(card: str) -> list[list[list[str]]]:
    """Every table as rows of cells, as GitHub's Markdown reads them."""
    blocks = re.findall(r"(?:^\|.*\n?)+", card, re.MULTILINE)
    return [
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        for block in blocks
    ]


def table(card: str, *first_column: str) -> dict[str, list[str]]:
    """The table that has all these rows, by their first cells."""
    for rows in tables(card):
        found = {row[0].strip("*`"): row[1:] for row in rows}
        if found.keys() >= set(first_column):
            return found
    raise AssertionError(f"no table with {first_column}")


def percent(value: float) -> str:
    return f"{100 * value:.2f}"


# What the card holds


def test_a_calibrated_model_says_so(folder: Path) -> None:
    assert "calibrat" not in card_text(folder, "user/name")
    change(folder, "config.json", calibration_temperature=1.374)
    change(folder, "test_metrics.json", ece=0.0312)
    assert (
        "a temperature of 1.37, fitted on validation. The expected calibration error here is 3.1 %"
        in card_text(folder, "a/b")
    )


@pytest.mark.parametrize(
    ("adjustment", "where"),
    [("validation", "validation, whose own figures it flatters"), ("out_of_fold", "training dialogues")],
)
def test_the_card_names_the_data_of_the_class_bias(folder: Path, adjustment: str, where: str) -> None:
    assert "bias for every class" not in card_text(folder, "a/b")
    change(folder, "run.json", class_bias=[0.1, -0.1], training={"logit_adjustment": adjustment})
    assert f"fitted to weighted F1 on {where}" in card_text(folder, "a/b")


def test_the_metadata_holds_what_the_hub_filters_by(folder: Path) -> None:
    front = metadata(card_text(folder, "user/name"))
    assert front["license"] == "apache-2.0" and front["library_name"] == "transformers"
    assert front["language"] in ("en", ["en"]) and front["pipeline_tag"] == "text-classification"
    assert set(front["tags"]) >= {"emotion-recognition-in-conversation", "dialogue", "emonet"}
    assert front["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert VERSION in front["datasets"]


@pytest.mark.parametrize("tested", [True, False])
def test_the_model_index_is_the_figures(folder: Path, tested: bool) -> None:
    if not tested:
        (folder / "test_metrics.json").unlink()
    figures, split = (TEST, "test") if tested else (VALIDATION, "validation")
    card = card_text(folder, "user/name")
    (result,) = metadata(card)["model-index"][0]["results"]
    assert result["dataset"]["split"] == split and "1.0.0" in str(result["dataset"])
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert len(values) == len(result["metrics"]) == len(OVERALL) + len(LABELS)
    expected = [figures[key] for key in OVERALL] + [row["f1"] for row in figures["per_class"].values()]
    assert sorted(values.values()) == pytest.approx(sorted(expected), abs=1e-6)
    assert re.search(rf"^#+ .*{split}", card, re.MULTILINE)


def test_the_metadata_is_what_the_hub_library_reads(folder: Path) -> None:
    from huggingface_hub import ModelCard

    data = ModelCard(card_text(folder, "user/name")).data
    assert {result.metric_value for result in data.eval_results} >= {round(TEST["weighted_f1"], 6)}
    assert data.model_name == "name" or data.model_name == "user/name"


@pytest.mark.parametrize(
    ("backbone", "base"),
    [
        ("smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("org/some-model", "org/some-model"),
        ("my-folder", None),
        ("/home/me/models/x", None),
        (None, None),
    ],
)
def test_the_base_model_is_a_hub_id_or_not_there(
    folder: Path, backbone: str | None, base: str | None
) -> None:
    change(folder, "config.json", backbone=backbone)
    card = card_text(folder)
    assert metadata(card).get("base_model") == base
    assert "/home/me" not in card


def test_the_tables_hold_every_figure(folder: Path) -> None:
    card = card_text(folder)
    overall = [cell for row in tables(card)[0] for cell in row]
    assert {percent(TEST[key]) for key in OVERALL} <= set(overall)
    by_class = table(card, *LABELS)
    for name, row in TEST["per_class"].items():
        assert {*map(percent, (row["f1"], row["precision"], row["recall"])), str(row["support"])} <= set(
            by_class[name]
        )
    matrix = [[row[1:] for row in rows[2:]] for rows in tables(card) if rows[0][1:] == LABELS]
    assert matrix == [[[str(count) for count in row] for row in TEST["confusion_matrix"]]]


@pytest.mark.parametrize("tested", [True, False])
def test_the_picture_is_shown_with_its_split(folder: Path, tested: bool) -> None:
    assert "confusion_matrix.png" not in card_text(folder)
    (folder / "confusion_matrix.png").touch()
    if not tested:
        (folder / "test_metrics.json").unlink()
    assert re.search(r"!\[.*validation.*\]\(confusion_matrix.png\)", card_text(folder))


def test_the_history_is_the_runs_with_the_kept_row_in_bold(folder: Path) -> None:
    rows = next(rows for rows in tables(card_text(folder)) if rows[0][0] == "epoch")
    for row, cells in zip(RUN["epochs"], rows[2:], strict=True):
        bold = row["epoch"] == RUN["best_epoch"]
        assert all(cell.startswith("**") and cell.endswith("**") for cell in cells if cell) == bold
        plain = [cell.strip("*") for cell in cells]
        assert plain[0] == str(row["epoch"])
        assert {percent(row[key]) for key in ("weighted_f1", "macro_f1", "accuracy")} <= set(plain)
        assert {row["train_loss"], row["loss"]} <= {float(cell) for cell in plain}


def test_settings_versions_and_size(folder: Path) -> None:
    card = card_text(folder)
    settings = table(card, "learning_rate", "class_weighting", "seed", "memory_hidden_size")
    assert "5e-05" in settings["learning_rate"][0] and "7" in settings["seed"][0]
    assert "pooling" not in settings, "mean is the default"
    assert "2.13.0" in table(card, "torch", "emonet")["torch"]
    assert "45,456,007" in card and "22,890,631" in card


def test_every_table_is_whole(folder: Path) -> None:
    change(folder, "config.json", id2label={"0": "a|b", "1": "c\nd"}, dataset_version="mine-0a1b2c3d")
    figures = emotion_metrics([0, 1, 1], [0, 1, 0], ["a|b", "c\nd"])
    change(folder, "metrics.json", **figures)
    (folder / "test_metrics.json").unlink()
    for rows in tables(card_text(folder)):
        assert len(rows) > 2 and len({len(row) for row in rows}) == 1, rows


@pytest.mark.parametrize("count", range(len(FILES) + 1))
def test_missing_facts_leave_no_trace(tmp_path: Path, count: int) -> None:
    for number, names in enumerate(combinations(FILES, count)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if names:
            fill(folder, *names)
        text = re.sub(r"<!--.*?-->", "", body(card_text(folder)), flags=re.DOTALL)
        assert "None" not in text and "nan" not in text
        assert not re.search(r"^#+ [^\n]*\n\s*(?=#+ |\Z)", text, re.MULTILINE), names
        assert (
            "config.json" in names
            or VERSION not in text
            or {"run.json", "metrics.json", "test_metrics.json"} & set(names)
        )


def test_figures_without_a_known_metric_or_class_do_no_harm(folder: Path) -> None:
    (folder / "test_metrics.json").unlink()
    (folder / "metrics.json").unlink()
    change(folder, "run.json", epochs=[{"epoch": 1, "loss": 1.0}], best_epoch=1)
    front = metadata(card_text(folder))
    assert "model-index" not in front or front["model-index"][0]["results"][0]["metrics"]


def test_a_file_that_is_not_json_is_named(folder: Path) -> None:
    (folder / "run.json").write_text("{")
    with pytest.raises(EmoNetError, match=r"run\.json"):
        card_text(folder)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("emorynlp-full-1.0.0", ["EmoryNLP", "Zahiri", "0.14", "Apache-2.0", "aligned"]),
        ("emorynlp-aligned-1.0.0", ["EmoryNLP", "Zahiri", "0.14", "Apache-2.0", "aligned"]),
        ("meld-1.0.0", ["MELD", "Poria", "0.43", "GPL-3.0"]),
        ("sample-0a1b2c3d", ["Albatross", "CC0"]),
        ("talk-0a1b2c3d", ["talk-0a1b2c3d"]),
    ],
)
def test_data_labels_agreement_and_licence_by_corpus(folder: Path, version: str, words: list[str]) -> None:
    for name in ("config.json", "test_metrics.json", "metrics.json"):
        change(folder, name, dataset_version=version)
    card = card_text(folder)
    assert all(word in card for word in words)
    others = {"EmoryNLP", "MELD", "Albatross", "Friends"} - {words[0]}
    if version.startswith(("sample", "talk")):
        assert not [word for word in others if word in body(card)]


def test_files_of_ones_own_are_not_taken_for_a_corpus(folder: Path) -> None:
    change(folder, "config.json", dataset_version="meld-of-mine-0a1b2c3d")
    assert "Poria" not in card_text(folder) and "GPL" not in card_text(folder)


# The snippet


@pytest.mark.parametrize("name", ["run", 'a "quoted" run'])
def test_the_snippet_is_python_with_the_models_name(tmp_path: Path, name: str) -> None:
    folder = fill(tmp_path / name)
    for repo_id in (None, "user/name"):
        snippet = usage_snippet(card_text(folder, repo_id))
        compile(snippet, "card", "exec")
        assert repr(repo_id or name).strip("'\"") in snippet.replace('\\"', '"')
        assert "trust_remote_code=True" in snippet
    assert "revision=" in card_text(folder)


def test_the_cards_usage_runs(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path / "mine")
    snippet = usage_snippet((tmp_path / "mine" / "README.md").read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    *lines, last = snippet.strip().splitlines()
    scope: dict[str, Any] = {}
    exec("\n".join([*lines, f"rows = {last}"]), scope)
    assert [row["speaker"] for row in scope["rows"]] == ["Monica", "Ross"]


# Edits by hand

PROSE = "\n## From its author\n\nWritten by hand: 100 % | $5.\n"


def test_edits_survive_new_figures(folder: Path) -> None:
    write_card(folder, "user/name")
    card = (folder / "README.md").read_text("utf-8")
    changed = re.sub(r"^## Limits.*?$", "## Caveats of mine", card, count=1, flags=re.MULTILINE) + PROSE
    assert changed.count("Caveats of mine") == 1, (
        "the template's own headings are outside the generated parts"
    )
    (folder / "README.md").write_text(changed, "utf-8")
    change(folder, "test_metrics.json", weighted_f1=0.987654)
    text = write_card(folder, "user/name").read_text("utf-8")
    assert "Caveats of mine" in text and PROSE in text
    assert "98.77" in text and "98.77" not in card
    assert metadata(text)["model-index"] == metadata(card_text(folder, "user/name"))["model-index"]


def test_figures_join_a_card_that_was_written_before_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "run", "config.json")
    write_card(folder)
    fill(folder)
    assert write_card(folder).read_text("utf-8") == card_text(folder)


@pytest.mark.parametrize("name", sorted({name for _, name in MARKER.findall(card_text(Path("nowhere")))}))
def test_a_deleted_part_stays_deleted(folder: Path, name: str) -> None:
    generated = card_text(folder)
    block = re.compile(rf"<!-- emonet:begin {name} -->.*?<!-- emonet:end {name} -->\n", re.DOTALL)
    without = block.sub("", generated)
    assert merge_card(without, generated) == without != generated


def test_metadata_by_hand_survives(folder: Path) -> None:
    generated = card_text(folder)
    front = metadata(generated)
    front |= {
        "license": "cc-by-4.0",
        "language": ["en", "de"],
        "thumbnail": "x.png",
        "tags": [*front["tags"], "mine"],
    }
    front |= {"model-index": [{"name": "old", "results": []}], "datasets": [*front["datasets"], "user/extra"]}
    edited = f"---\n{yaml.safe_dump(front)}---\n{body(generated)}"
    merged = metadata(merge_card(edited, generated))
    assert (merged["license"], merged["language"], merged["thumbnail"]) == (
        "cc-by-4.0",
        ["en", "de"],
        "x.png",
    )
    assert (
        "mine" in merged["tags"]
        and "emonet" in merged["tags"]
        and len(merged["tags"]) == len(set(merged["tags"]))
    )
    assert set(merged["datasets"]) == {VERSION, "user/extra"}
    assert merged["model-index"] == metadata(generated)["model-index"]


@pytest.mark.parametrize(
    "front", ["", "---\nlicense: mit\n---\n", "---\n---\n", "---\r\nlicense: mit\r\n---\r\n"]
)
def test_a_card_without_generated_parts_stays_whole(folder: Path, front: str) -> None:
    text = "# My own\n\n---\n\nAll by hand.\n"
    merged = merge_card(front + text, card_text(folder))
    assert merged.endswith("---\n" + text) and merged.count(text) == 1
    assert metadata(merged)["license"] == ("mit" if "mit" in front else "apache-2.0")
    assert metadata(merged)["model-index"]


def test_another_training_replaces_the_data_set_in_the_metadata(folder: Path) -> None:
    before = card_text(folder)
    change(folder, "config.json", dataset_version="meld-1.0.0")
    assert metadata(merge_card(before, card_text(folder)))["datasets"] == ["meld-1.0.0"]


@pytest.mark.parametrize("existing", ["", "# By hand\n", "---\ntags: mine\n---\n", "whole"])
def test_merging_twice_is_merging_once(folder: Path, existing: str) -> None:
    generated = card_text(folder, "user/name")
    old = (generated + PROSE).replace(percent(TEST["accuracy"]), "0.00") if existing == "whole" else existing
    once = merge_card(old, generated)
    assert merge_card(once, generated) == once


@pytest.mark.parametrize("kind", ["begin", "end"])
def test_an_unpaired_marker_is_refused_by_name(folder: Path, kind: str) -> None:
    generated = card_text(folder)
    name = MARKER.findall(generated)[0][1]
    with pytest.raises(EmoNetError, match=name):
        merge_card(generated.replace(f"<!-- emonet:{kind} {name} -->", ""), generated)


@pytest.mark.parametrize("front", ["---\n: [\n---\n", "---\n- a\n---\n"])
def test_metadata_that_cannot_be_read_is_refused(folder: Path, front: str) -> None:
    with pytest.raises(EmoNetError, match=r"metadata"):
        merge_card(front + "text\n", card_text(folder))


def test_whether_a_card_was_edited(folder: Path) -> None:
    generated = card_text(folder)
    part = MARKER.findall(generated)[0][1]
    inside = generated.replace(f"<!-- emonet:end {part} -->", f"inside\n<!-- emonet:end {part} -->")
    assert not is_edited(generated, generated) and not is_edited(inside, generated)
    assert not is_edited(generated.replace("\n", "\r\n"), generated)
    assert is_edited(generated + PROSE, generated) and is_edited("# By hand\n", generated)
    assert is_edited(
        re.sub(rf"<!-- emonet:begin {part}.*?end {part} -->", "", generated, flags=re.DOTALL), generated
    )


def test_a_card_is_replaced_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_card(folder).read_text("utf-8")
    change(folder, "test_metrics.json", weighted_f1=0.5)
    names = set(os.listdir(folder))

    def fail(*paths: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_card(folder)
    assert (folder / "README.md").read_text("utf-8") == before and set(os.listdir(folder)) == names


# The callback


def trained(tokenizer: Any, folder: Path, **arguments: Any) -> Any:
    trainer = trainer_for(encoded(tokenizer), folder, eval_strategy="epoch", num_train_epochs=3, **arguments)
    trainer.args.hub_token = "hf_" + "s" * 30
    trainer.args.run_name = trainer.args.resume_from_checkpoint = str(folder / "elsewhere")
    trainer.train()
    return trainer


def test_a_trainer_leaves_a_card_with_its_history(tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "machine" / "run"
    trainer = trained(tokenizer, folder, learning_rate=0.01, max_grad_norm=0.5)
    card = (folder / "README.md").read_text("utf-8")
    rows = next(rows for rows in tables(card) if rows[0][0] == "epoch")
    log = trainer.state.log_history
    scores = [entry["eval_weighted_f1"] for entry in log if "eval_weighted_f1" in entry]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    column = rows[0].index("weighted F1")
    assert [row[column].strip("*") for row in rows[2:]] == [percent(round(score, 4)) for score in scores]
    assert [float(row[1].strip("*")) for row in rows[2:]] == pytest.approx(losses, abs=1e-4)
    bold = [number for number, row in enumerate(rows[2:]) if row[0].startswith("**")]
    assert bold == [scores.index(max(scores))]
    record = json.loads((folder / "run.json").read_text("utf-8"))
    assert record["training"]["max_grad_norm"] == 0.5 and record["seed"] == trainer.args.seed
    for text in (card, (folder / "run.json").read_text("utf-8")):
        assert (
            str(tmp_path) not in text
            and "machine" not in text
            and "hf_s" not in text
            and "elsewhere" not in text
        )
        assert socket.gethostname() not in text and str(Path.home()) + "/" not in text


def test_an_evaluation_after_training_is_no_part_of_its_history(tokenizer: Any, tmp_path: Path) -> None:
    trainer = trained(tokenizer, tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_text("utf-8")
    trainer.evaluate(trainer.train_dataset)
    assert (tmp_path / "run" / "run.json").read_text("utf-8") == before


def test_an_evaluation_alone_writes_nothing(tokenizer: Any, tmp_path: Path) -> None:
    trainer_for(encoded(tokenizer), tmp_path / "run", eval_strategy="epoch").evaluate()
    assert not (tmp_path / "run" / "README.md").exists()


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (
            {
                "metric_for_best_model": "loss",
                "greater_is_better": False,
                "save_strategy": "epoch",
                "load_best_model_at_end": True,
            },
            "lowest loss",
        ),
        ({"save_strategy": "epoch", "load_best_model_at_end": False}, "last"),
    ],
)
def test_the_bold_row_is_the_one_that_is_saved(
    tokenizer: Any, tmp_path: Path, arguments: Any, kept: str
) -> None:
    trainer = trained(tokenizer, tmp_path / "run", learning_rate=0.01, **arguments)
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    rows = next(
        rows for rows in tables((tmp_path / "run" / "README.md").read_text("utf-8")) if rows[0][0] == "epoch"
    )
    bold = [number for number, row in enumerate(rows[2:]) if row[0].startswith("**")]
    assert bold == [losses.index(min(losses)) if kept == "lowest loss" else 2]
