"""The systems as presets, commands and checkpoints without the package."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, OTHER, build, logits
from without_emonet import run_without_emonet

from emonet.cli.main import main
from emonet.context.base import all_context_modules
from emonet.knowledge.concepts import ConceptTable
from emonet.studies.published import PUBLISHED
from emonet.training.presets import PRESETS

CONTEXT_MODULES = all_context_modules()
SYSTEMS = sorted(name for name in CONTEXT_MODULES if name in PRESETS)
SPEAKERS = {"speaker_identity": "global", "speaker_memory": "corpus"}
CONCEPTS = ConceptTable(
    ["joy", "dislike", "news_item"],
    [1.0, 0.7, 0.0],
    {"great": [(0, 1.0)], "wonderful": [(0, 0.5)], "hate": [(1, 1.0)], "news": [(2, 1.0), (0, 0.1)]},
    [{"graph": "by hand", "licence": "CC0", "shareable": True}],
)
LOAD = """
from pathlib import Path
from transformers import AutoModel
turns = json.loads(Path("turns.json").read_text())
found = {}
for folder in sorted(Path(".").glob("model-*")):
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    found[folder.name] = [row["scores"] for row in model.predict(turns)]
report(found)
"""


def with_concepts(name: str) -> dict[str, Any]:
    return {"num_concepts": 3, "concepts": CONCEPTS} if name == "ket" else {}


def test_every_published_system_has_two_presets() -> None:
    field = {"ket", "dialoguegcn", "rgat", "dialogxl", "hitrans", "tucore-gcn", "s-page", "dag-erc", "spcl"}
    assert field | {"compm"} <= {*PUBLISHED} and {*PUBLISHED} - {"compm"} <= {*SYSTEMS}
    for name in SYSTEMS:
        assert PRESETS[name].config["freeze_backbone"] and not PRESETS[f"{name}-finetuned"].config.get(
            "freeze_backbone"
        )
        assert PRESETS[name].paper == PRESETS[f"{name}-finetuned"].paper == CONTEXT_MODULES[name].paper


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_speaker_options_combine_with_every_system(tokenizer: Any, name: str, family: str) -> None:
    weights = [1.0, 2, 3, 4, 5, 6, 7]
    model, processor = build(
        tokenizer, name, family, class_weights=weights, **SPEAKERS, **with_concepts(name)
    )
    if name == "ket":
        model.emonet.context.set_concepts(torch.randn(3, 32), torch.tensor(CONCEPTS.affect))
    known = logits(model, processor, DIALOGUE)[0]
    stranger = [{**turn, "speaker": turn["speaker"].replace("Ann", "Eve")} for turn in DIALOGUE]
    assert not torch.allclose(known[0], logits(model, processor, stranger)[0, 0], atol=1e-4), (
        "who speaks has no effect"
    )
    model.train()
    model(**processor([DIALOGUE, OTHER])).loss.backward()
    still = [
        key
        for key, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or p.grad.abs().sum() == 0)
    ]
    assert not still


@pytest.mark.parametrize("name", SYSTEMS)
def test_half_precision(tokenizer: Any, name: str) -> None:
    model, processor = build(tokenizer, name, class_weights=[1.0, 2, 3, 4, 5, 6, 7], **with_concepts(name))
    exact, batch = logits(model, processor, DIALOGUE), processor([DIALOGUE])
    with torch.autocast("cpu", torch.bfloat16):
        model.train()(**batch).loss.backward()
    with torch.no_grad():
        rough = model.to(torch.bfloat16).eval()(**batch).logits.float()
    assert torch.allclose(rough, exact, atol=0.3)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize(
    "turns",
    [DIALOGUE[:1], [{**turn, "speaker": "Ann"} for turn in DIALOGUE]],
    ids=["one turn", "one speaker"],
)
def test_short_and_one_speaker_dialogues(tokenizer: Any, name: str, turns: Any) -> None:
    model, processor = build(tokenizer, name, **with_concepts(name))
    alone = logits(model, processor, turns)[0]
    assert alone.isfinite().all()
    assert torch.allclose(
        alone, logits(model, processor, DIALOGUE + OTHER, turns)[1, : len(turns)], atol=1e-5
    )


@pytest.mark.parametrize("name", SYSTEMS)
def test_dialogues_longer_than_the_backbone(tokenizer: Any, name: str) -> None:
    model, processor = build(tokenizer, name, max_sequence_tokens=60, **with_concepts(name))
    model.processor = processor
    rows = model.predict([{**turn, "speaker": f"Person {place}"} for place, turn in enumerate(DIALOGUE * 8)])
    assert len(rows) == 48 and all(abs(sum(row["scores"].values()) - 1) < 1e-4 for row in rows)


@pytest.mark.slow
def test_checkpoints_work_without_the_package(tokenizer: Any, tmp_path: Path) -> None:
    expected = {}
    for name in SYSTEMS:
        model, model.processor = build(tokenizer, name, **with_concepts(name))
        model.processor.save_pretrained(tmp_path / f"model-{name}")
        if name == "ket":
            model.emonet.context.set_concepts(torch.randn(3, 32), torch.tensor(CONCEPTS.affect))
        model.save_pretrained(tmp_path / f"model-{name}")
        expected[f"model-{name}"] = [
            pytest.approx(row["scores"], abs=1e-5) for row in model.predict(DIALOGUE)
        ]
    (tmp_path / "turns.json").write_text(json.dumps(DIALOGUE))
    assert run_without_emonet(LOAD, tmp_path) == expected


def test_missing_concepts_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    model, model.processor = build(tokenizer, "ket", **with_concepts("ket"))
    model.save_pretrained(tmp_path)
    assert type(model).from_pretrained(tmp_path).processor.concepts == CONCEPTS
    (tmp_path / "concepts.json").write_text("[]")
    with pytest.raises(ValueError, match="not a table of concepts"):
        _ = type(model).from_pretrained(tmp_path).processor
    (tmp_path / "concepts.json").unlink()
    with pytest.raises(ValueError, match=r"has no concepts.json.*copy it from the training run"):
        _ = type(model).from_pretrained(tmp_path).processor
    with pytest.raises(ValueError, match="num_concepts=3: give its processor the table"):
        type(model.processor)(tokenizer, model.config)


def test_command_line_combines_options(backbone: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "cache"))
    common = [
        "train",
        "--dataset",
        "sample",
        "--backbone",
        str(backbone),
        "--epochs",
        "1",
        "--output-dir",
        str(tmp_path / "run"),
    ]
    ideas = ["--speaker-memory", "corpus", "--speaker-identity", "global", "--class-weighting", "inverse"]
    assert main([*common, "--preset", "emonet-fast", "--context-module", "rgat", *ideas]) == 2
    assert "set causal=False (--non-causal)" in capsys.readouterr().err
    assert main([*common, "--preset", "emonet-fast", "--context-module", "rgat", "--non-causal", *ideas]) == 0
    assert (
        main(
            [
                "evaluate",
                "--model",
                str(tmp_path / "run"),
                "--dataset",
                "sample",
                "--json",
                str(tmp_path / "test.json"),
            ]
        )
        == 0
    )
    assert json.loads((tmp_path / "test.json").read_text())["causal"] is False
    assert "not for live use" in (tmp_path / "run" / "README.md").read_text()
    for variable in ("EMONET_WORDNET", "WNSEARCHDIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("emonet.knowledge.graphs.WORDNET_FOLDERS", ())
    monkeypatch.setattr("emonet.knowledge.table.read_affect", lambda source, cache_dir: None)
    assert main([*common, "--preset", "ket"]) == 2
    assert "apt-get install wordnet-base" in capsys.readouterr().err
    assert main([*common, "--preset", "ket", "--concepts", "none"]) == 0
