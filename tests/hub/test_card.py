"""The card holds every figure and reveals nothing of the machine."""

import configparser
import json
import re
from itertools import combinations
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from huggingface_hub import ModelCard, metadata_load
from run_folder import (
    FILES,
    OVERALL,
    RUN,
    TEST,
    VALIDATION,
    VERSION,
    body,
    change,
    fill,
    metadata,
    percent,
    table,
    tables,
)
from tiny import LABELS, build
from transformers import pipeline

from emonet.errors import EmoNetError
from emonet.evaluation.metrics import emotion_metrics
from emonet.hub.card import card_text, usage_snippet, write_card
from emonet.hub.export import write_companions
from emonet.hub.requirements import CHECKPOINT
from emonet.hub.snippets import fine_tune_snippet


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
    assert "datasets" not in front, "the package's own name of a corpus is no id on the Hub"
    change(folder, "run.json", dataset_id="user/talk")
    assert metadata(card_text(folder, "user/name"))["datasets"] == ["user/talk"]


@pytest.mark.parametrize(
    ("backbone", "version", "licence", "language"),
    [
        ("minilm", "emorynlp-full-1.0.0", "apache-2.0", "en"),
        ("FacebookAI/roberta-large", "emorynlp-full-1.0.0", "apache-2.0", "en"),
        ("FacebookAI/roberta-large", "sample-0a1b2c3d", "mit", "en"),
        ("minilm", "meld-1.0.0", "gpl-3.0", "en"),
        ("smollm2", "dailydialog-1.0.0", "cc-by-nc-sa-4.0", "en"),
        ("minilm", "iemocap-1.0.0", "other", "en"),
        ("org/unknown", "emorynlp-full-1.0.0", "other", "en"),
        ("minilm", "talk-0a1b2c3d", "other", None),
        ("minilm", "meld-0a1b2c3d", "other", None),  # a folder of that name
        ("minilm", None, "apache-2.0", None),
        (None, None, None, None),
    ],
)
def test_licence_and_language_follow_from_backbone_and_corpus(
    folder: Path, backbone: str | None, version: str | None, licence: str | None, language: str | None
) -> None:
    change(folder, "config.json", backbone=backbone, dataset_version=version)
    card = card_text(folder)
    front = metadata(card)
    assert (front.get("license"), front.get("language")) == (licence, language)
    assert ("license_name" in front) == (licence == "other")
    assert ("Licence:** not stated, because" in card) == (licence == "other")


def test_emissions_are_told_where_they_were_measured(folder: Path) -> None:
    assert "co2_eq_emissions" not in metadata(card_text(folder))
    measured = {"emissions": 12.5, "source": "codecarbon 3.0.0", "training_type": "fine-tuning"}
    change(folder, "run.json", co2_eq_emissions=measured)
    card = card_text(folder)
    assert metadata(card)["co2_eq_emissions"] == measured and "12.5 g of CO2" in card


def test_the_demo_is_called_a_toy_at_the_top(folder: Path) -> None:
    assert "toy" not in card_text(folder)
    change(folder, "config.json", dataset_version="sample-0a1b2c3d")
    assert body(card_text(folder)).index("**A toy.**") < 300


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
    path = write_card(folder, "user/name")
    assert metadata_load(path) == metadata(path.read_text("utf-8"))
    card = ModelCard.load(path)
    assert {result.metric_value for result in card.data.eval_results} >= {round(TEST["weighted_f1"], 6)}
    assert card.data.model_name == "name"
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict()


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
        text = re.sub(r"```.*?```", "(code)", text, flags=re.DOTALL)
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


@pytest.fixture(scope="module")
def saved(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model."""
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.train()
    before = [module.training for module in model.modules()]
    folder = tmp_path_factory.mktemp("card") / "mine"
    model.save_pretrained(folder)
    assert [module.training for module in model.modules()] == before, "the example must not end a training"
    return folder


def test_the_usage_prints_what_the_card_shows(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (saved / "README.md").read_text("utf-8")
    monkeypatch.chdir(saved.parent)
    exec(usage_snippet(card), {})
    shown = re.search(r"```text\n(.*?)```", card, re.DOTALL)
    assert shown is not None and shown[1] == capsys.readouterr().out
    assert shown[1].count("\n") == 3


def test_the_widget_shows_what_its_pipeline_answers(saved: Path) -> None:
    front = metadata((saved / "README.md").read_text("utf-8"))
    pipe = pipeline("text-classification", model=str(saved), top_k=None)
    assert len(front["widget"]) == 3
    for entry in front["widget"]:
        (rows,) = pipe([entry["text"]])
        expected = {row["label"]: row["score"] for row in rows}
        assert {row["label"]: row["score"] for row in entry["output"]} == pytest.approx(expected, abs=1e-4)
        scores = [row["score"] for row in entry["output"]]
        assert scores == sorted(scores, reverse=True)


def test_the_output_of_other_weights_is_not_shown(saved: Path, tmp_path: Path) -> None:
    folder = copytree(saved, tmp_path / "other")
    assert "```text" in card_text(folder) and "widget" in metadata(card_text(folder))
    (folder / "digests.json").write_text("{}")
    assert "```text" not in card_text(folder) and "widget" not in metadata(card_text(folder))
    write_companions(folder)
    assert not (folder / "example.json").exists()


def test_built_in_models_and_embedded_backbones_need_the_package(folder: Path) -> None:
    assert "import emonet" not in card_text(folder)
    heads = {"backbone": "smollm2", "hub_id": None, "base_digest": "", "base_dtype": "float32"}
    (folder / "emonet_adapter.json").write_text(json.dumps(heads))
    snippet = usage_snippet(card_text(folder))
    assert snippet.startswith("import emonet\n") and "trust_remote_code" not in snippet


def test_required_versions_are_the_packages_lower_bounds(folder: Path) -> None:
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg")
    needed = config["options"]["install_requires"].split()
    torch, transformers = (next(line for line in needed if line.startswith(name)) for name in CHECKPOINT)
    assert f"`{torch}` and `{transformers}`" in card_text(folder)
    write_companions(folder)
    assert (folder / "requirements.txt").read_text("utf-8").split() == [torch, transformers]


def test_the_fine_tuning_fits_the_model(folder: Path) -> None:
    tuned = card_text(folder, "user/name").partition("## Fine-tune")[2].partition("<!--")[0]
    assert fine_tune_snippet("user/name", frozen=False) in tuned and "all weights are trained" in tuned
    change(folder, "config.json", freeze_backbone=True)
    tuned = card_text(folder, "user/name").partition("## Fine-tune")[2].partition("<!--")[0]
    assert fine_tune_snippet("user/name") in tuned and "the backbone is frozen" in tuned
    change(folder, "config.json", model_type="emonet_prompted", prompts={"window": 3})
    assert "## Fine-tune" not in card_text(folder)


# Citations


@pytest.mark.parametrize("version", ["emorynlp-full-1.0.0", "meld-1.0.0", "iemocap-1.0.0", "talk-0a1b2c3d"])
def test_the_citation_is_bibtex(folder: Path, version: str) -> None:
    change(folder, "config.json", dataset_version=version)
    block = re.search(r"```bibtex\n(.*?)```", card_text(folder), re.DOTALL)
    assert block is not None and block[1].count("{") == block[1].count("}")
    keys = re.findall(r"^@\w+\{([\w-]+),$", block[1], re.MULTILINE)
    corpus = {"emorynlp": "zahiri", "meld": "poria", "iemocap": "busso"}.get(version.partition("-")[0])
    assert keys[:2] == ["emonet", "lee-lee-2022-compm"]
    assert [key.partition("-")[0] for key in keys[2:]] == ([corpus] if corpus else [])
    assert block[1].count("\n  title = {") == block[1].count("\n  author = {") == len(keys)
