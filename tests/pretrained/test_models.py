"""The built-in models: whole, small, loaded by every call, and as good as told."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

from emonet import modeling_emonet
from emonet.checkpoint import adapters, base, files
from emonet.checkpoint.adapters import ADAPTER_FILE, ADAPTER_WEIGHTS
from emonet.checkpoint.integrity import check_digests
from emonet.cli.main import main
from emonet.configuration_emonet import EmoNetConfig
from emonet.engines.load import load_engine
from emonet.errors import EmoNetError
from emonet.files.guard import read_json
from emonet.hub.built_in import publishable
from emonet.hub.example import EXAMPLE, EXAMPLE_FILE, read_example
from emonet.hub.push import check_complete
from emonet.hub.push_space import write_space
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.pipeline_emonet import TASK
from emonet.pretrained import models
from emonet.pretrained.models import DEFAULT, MODELS, built_in_path, introduction
from emonet.processing_emonet import EmoNetProcessor
from emonet.runs.evaluate import evaluate_run

TURNS = [{"speaker": "Ann", "text": "great we won"}, {"speaker": "Bob", "text": "leave me alone"}]
FILES = {
    "README.md",
    "config.json",
    "digests.json",
    EXAMPLE_FILE,
    "metrics.json",
    "run.json",
    "speakers.json",
    "test_metrics.json",
    ADAPTER_FILE,
    ADAPTER_WEIGHTS,
}
each_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture
def stub(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros in place of the backbones' weights, taken for the right ones."""
    tokenizer.save_pretrained(tmp_path / "backbone")
    heads = {model.backbone: read_json(model.folder / ADAPTER_FILE) for model in MODELS.values()}

    def zeros(path: str, config: Any, **options: Any) -> dict[str, torch.Tensor]:
        with torch.device("meta"):
            state = AutoModel.from_config(config).state_dict()
        return {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in state.items()}

    def digest(module: Any) -> str:
        found = "minilm" if module.config.model_type == "bert" else "smollm2"
        return str(heads[found]["base_digest"])

    monkeypatch.setattr(files.package, "resolve_backbone", lambda name: str(tmp_path / "backbone"))
    monkeypatch.setattr(files.package, "backbone_name", str)
    monkeypatch.setattr(models, "resolve_backbone", lambda name: str(tmp_path / "backbone"))
    monkeypatch.setattr(modeling_emonet, "backbone_state", zeros)
    for module in (adapters, base):
        monkeypatch.setattr(module, "weights_digest", digest)


@each_model
def test_the_files_are_whole_and_small(name: str) -> None:
    folder = MODELS[name].folder
    assert {path.name for path in folder.iterdir()} == FILES
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 4e6
    check_digests(folder)
    config = EmoNetConfig.from_pretrained(folder)
    assert config.freeze_backbone and len(config.label_names) == 7
    facts = read_json(folder / ADAPTER_FILE)
    assert facts["backbone"] == config.backbone == MODELS[name].backbone


@each_model
def test_the_card_has_licence_and_figures(name: str) -> None:
    folder = MODELS[name].folder
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "apache-2.0"
    assert "Licence of the corpus: Apache-2.0." in " ".join(card.text.split())
    figures = {result.metric_name: result.metric_value for result in card.data.eval_results}
    test = read_json(folder / "test_metrics.json")
    assert test["split"] == "test"
    assert figures["weighted F1"] == pytest.approx(test["weighted_f1"], abs=1e-6)
    low, high = test["weighted_f1_interval"]
    assert low < test["weighted_f1"] < high
    # The seed was chosen on validation.
    seeds = test["validation_weighted_f1_by_seed"]
    assert len(seeds) >= 5 and read_json(folder / "metrics.json")["weighted_f1"] == max(seeds.values())


@each_model
def test_the_introduction_tells_what_it_is(name: str) -> None:
    words = introduction(built_in_path(name))
    score = read_json(MODELS[name].folder / "test_metrics.json")["weighted_f1"]
    assert f"weighted F1 {100 * score:.1f} [" in words and "test set" in words
    assert repr(name) in words and "TV scripts" in words
    assert introduction("user/model") == introduction("emorynlp") == ""


@each_model
def test_it_loads_and_is_introduced_once(stub: None, name: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.Logger.warning_once.cache_clear()  # type: ignore[attr-defined]
    for _ in range(2):
        model = EmoNetForSequenceClassification.from_pretrained(name)
    assert len(model.predict(TURNS)) == 2
    assert [record.message for record in caplog.records].count(introduction(built_in_path(name))) == 1


def test_every_call_takes_the_name(stub: None) -> None:
    name = "emorynlp-small"
    expected = EmoNetForSequenceClassification.from_pretrained(name).predict(TURNS)
    processor = EmoNetProcessor.from_pretrained(name)
    assert processor.speakers["Ross Geller"] and processor.config.backbone == "minilm"
    for pipe in (
        pipeline(TASK, name),
        pipeline(TASK, model=name),
        pipeline(task=TASK, model=name),
        pipeline(TASK, built_in_path(name)),
        pipeline(TASK, EmoNetForSequenceClassification.from_pretrained(name)),
    ):
        assert pipe(TURNS) == expected
    model, _ = load_engine(name)
    assert model.predict(TURNS) == expected
    assert pipeline(model=name)(TURNS) == expected
    (row,) = pipeline("text-classification", model=name)("I love you")
    assert set(row) == {"label", "score"}


def test_auto_classes_take_the_name(stub: None) -> None:
    name = "emorynlp-small"
    assert AutoConfig.from_pretrained(name).backbone == "minilm"
    assert AutoProcessor.from_pretrained(name).speakers["Ross Geller"]
    assert AutoTokenizer.from_pretrained(pretrained_model_name_or_path=name)("hello")["input_ids"]
    expected = EmoNetForSequenceClassification.from_pretrained(name).predict(TURNS)
    for auto_class in (AutoModel, AutoModelForSequenceClassification):
        assert auto_class.from_pretrained(name).predict(TURNS) == expected


def test_a_pipeline_without_a_model_takes_the_default(stub: None) -> None:
    model = pipeline(TASK).model
    assert model.config.backbone == MODELS[DEFAULT].backbone
    assert model.name_or_path == built_in_path(DEFAULT)


def test_a_corpus_of_that_name_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT).mkdir()
    assert built_in_path(DEFAULT) == str(MODELS[DEFAULT].folder)
    (tmp_path / DEFAULT / "config.json").write_text("{}")  # a run that was trained to this folder
    assert built_in_path(DEFAULT) == DEFAULT


def test_the_commands_take_the_name(
    stub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, script = "emorynlp-small", tmp_path / "script.txt"
    script.write_text("Ann: great we won\nBob: leave me alone\n")
    monkeypatch.chdir(tmp_path)
    main(["predict", "--model", name, str(script)])
    assert capsys.readouterr().out.count('"label"') == 2
    main(["predict", "--model", name, "--engine", "datasets", str(script), "--output", "bulk"])
    assert "2 turns in 1 parts" in capsys.readouterr().out
    main(["evaluate", "--model", name, "--dataset", str(_corpus(tmp_path)), "--split", "test"])
    assert "weighted F1" in capsys.readouterr().out
    for arguments, message in (
        (["forget", "Ross Geller", "--model", name], "built-in model.*save a copy"),
        (["predict", "--model", name, "--engine", "onnx", str(script)], f"emonet export --model {name}"),
    ):
        assert main(arguments) != 0
        error = " ".join(capsys.readouterr().err.split())
        assert re.search(message, error), error


def _corpus(folder: Path) -> Path:
    labels = ["Joyful", "Mad", "Neutral", "Peaceful", "Powerful", "Sad", "Scared"]
    file = folder / "corpus" / "test.csv"
    file.parent.mkdir()
    rows = [f"d,Ann,great we won {label},{label}" for label in labels]
    file.write_text("\n".join(["dialogue_id,speaker,text,emotion", *rows]) + "\n")
    return file.parent


def test_it_is_published_with_tokenizer_and_code(stub: None, tmp_path: Path) -> None:
    with publishable("emorynlp-small") as folder:
        assert Path(folder).name == "emorynlp-small"
        check_complete(Path(folder))
        assert "Apache-2.0" in Path(folder, "README.md").read_text("utf-8")
        assert read_json(Path(folder, "test_metrics.json"))["split"] == "test"
        space = write_space(folder, tmp_path / "space")
    assert not Path(folder).exists()
    weights = [path.relative_to(space).as_posix() for path in space.rglob("*.safetensors")]
    # The package in a Space does not bring its built-in models along.
    assert weights == [f"models/emorynlp-small/{ADAPTER_WEIGHTS}"]


@each_model
def test_another_architecture_is_refused(name: str, backbone: Path) -> None:
    with pytest.raises(
        EmoNetError, match=r"learnt on the backbone.*can't be loaded here.*backbone_path=FOLDER"
    ):
        EmoNetForSequenceClassification.from_pretrained(name, backbone_path=str(backbone))


def test_a_backbone_out_of_reach_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path))
    for variable in ("PIP_NO_INDEX", "PIP_ISOLATED"):
        monkeypatch.setenv(variable, "1")
    with pytest.raises(EmoNetError, match="backbone install minilm") as raised:
        EmoNetForSequenceClassification.from_pretrained("emorynlp-small")
    assert "copy the checkpoint again" not in str(raised.value)  # the checkpoint is whole
    assert list((tmp_path / "backbones").iterdir()) == []


@pytest.mark.slow
@each_model
def test_the_cards_example_is_what_it_predicts(name: str) -> None:
    example = read_example(MODELS[name].folder)
    card = (MODELS[name].folder / "README.md").read_text("utf-8")
    turns = [{"speaker": row["speaker"], "text": row["text"]} for row in example["dialogue"]]
    rows = EmoNetForSequenceClassification.from_pretrained(name).predict(turns)
    assert [row["label"] for row in rows] == ["Joyful", "Mad", "Sad"]  # as a reader would say
    for row, shown in zip(rows, example["dialogue"], strict=True):
        assert (row["label"], row["score"]) == (shown["label"], pytest.approx(shown["score"], abs=0.01))
        assert f"{shown['speaker']}: {shown['label']} ({shown['score']:.2f})" in card


# What a reader would say of the lines that documents, code and the endpoint show.
SHOWN = {
    "Theo: Oh my God, that is so great!": ["Joyful"],
    "Maya: Guess what, I got the part!\nTheo: Oh my God, that is so great!": ["Joyful", "Joyful"],
    "Theo: You threw away my sandwich?!\nMaya: I'm so sorry.": ["Mad", "Sad"],
    "Maya: You threw away my sandwich?!\nTheo: I'm so sorry.": ["Mad", "Sad"],
}


@pytest.mark.parametrize(
    "file",
    ["README.md", "docs/quick_start.md", "docs/serving.md", "docs/language_model.md", "serving/api.py"],
)
def test_the_lines_that_are_shown_are_known(file: str) -> None:
    text = (Path(__file__).parents[2] / file).read_text("utf-8")
    lines = re.findall(r"\b(?:Maya|Theo): ([A-Z][^\"\\\n(]+[.!?])", text)
    lines += re.findall(r'"(?:Maya|Theo)"(?:, "text": |, )"([^"]+)"', text)
    known = {line.partition(": ")[2] for script in SHOWN for line in script.splitlines()}
    assert lines and set(lines) <= {*known, *(turn["text"] for turn in EXAMPLE)}


@pytest.mark.slow
def test_it_reads_the_lines_that_are_shown_sensibly() -> None:
    model = EmoNetForSequenceClassification.from_pretrained(DEFAULT)
    for script, labels in SHOWN.items():
        assert [row["label"] for row in model.predict(script)] == labels, script


@pytest.mark.slow
@each_model
def test_it_scores_what_its_card_says(name: str, corpora: Path, tmp_path: Path) -> None:
    metrics = evaluate_run(name, "emorynlp", data_dir=str(corpora), cache_dir=tmp_path, progress=False)
    card = ModelCard.load(MODELS[name].folder / "README.md")
    figures = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert metrics["weighted_f1"] == pytest.approx(figures["weighted F1"], abs=1e-4)
    assert metrics["macro_f1"] == pytest.approx(figures["macro F1"], abs=1e-4)
