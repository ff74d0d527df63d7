"""Exported graphs give the logits of the model for batches of any shape."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, OTHER, build

from emonet.cli.main import main
from emonet.constants import CHOICES
from emonet.errors import EmoNetError
from emonet.inference.predict import predict_dialogues
from emonet.processing_emonet import EmoNetProcessor
from emonet.training.presets import PRESETS

pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")

from emonet.context.base import all_context_modules
from emonet.engines.onnx_engine import OnnxEmoNet
from emonet.engines.onnx_export import RECORD_FILE, export_onnx

LONG = [
    {"speaker": ["Ann", "Bob", "Cat", "Zed"][index % 4], "text": turn["text"]}
    for index, turn in enumerate((DIALOGUE + OTHER) * 3)
]
CALLS = [[DIALOGUE], [DIALOGUE, OTHER, LONG], [OTHER[:1]], [LONG, [{"speaker": "New", "text": "hello"}]]]
EXPORTED = ["none", *(name for name, module in all_context_modules().items() if module.exports)]
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        name: (name, {})
        for name, preset in PRESETS.items()
        if preset.config.get("context_module", "gru") in EXPORTED
    },
    "decay": ("corpus-memory", {"memory_pooling": "decay", "memory_fusion": "concat"}),
    "attention": (
        "corpus-memory",
        {"memory_pooling": "attention", "memory_encoder": "shared", "memory_fusion": "gated"},
    ),
    "local ids behind the backbone": (
        "emonet-fast",
        {"speaker_identity": "local", "speaker_memory": "dialogue"},
    ),
    "a window, no markers read": (
        "context",
        {"context_window": 2, "pool_marker": False, "speaker_identity": "name"},
    ),
    "not causal": ("context", {"causal": False, "pooling": "first"}),
    "per turn with ids": ("emonet-thesis", {"context_mode": "per_turn", "pooling": "mean"}),
}


@pytest.fixture(scope="module")
def exported(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, EmoNetProcessor, Path]:
    model, processor = build(tokenizer, "emonet-thesis")
    return model, processor, export_onnx(model, processor, tmp_path_factory.mktemp("onnx"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_the_models(variant: str, tokenizer: Any, tmp_path: Path) -> None:
    preset, fields = VARIANTS[variant]
    model, processor = build(tokenizer, preset, **fields)
    engine = OnnxEmoNet.from_folder(export_onnx(model, processor, tmp_path))
    for dialogues in CALLS:
        batch = processor(dialogues)
        with torch.no_grad():
            expected = model(**batch).logits
        real = batch["speaker_ids"] >= 0
        assert torch.allclose(engine(**batch).logits[real], expected[real], atol=1e-4), len(dialogues)


def test_all_memory_poolings_are_exported() -> None:
    tried = {fields.get("memory_pooling", "last") for _, fields in VARIANTS.values()}
    assert tried == set(CHOICES["memory_pooling"])


def test_predictions_do_not_depend_on_the_batch(exported: Any) -> None:
    model, processor, folder = exported
    engine, processor = OnnxEmoNet.from_folder(folder), EmoNetProcessor.from_pretrained(folder)
    histories: list[dict[str, list[str]]] = [{"Ann": ["hello there", "no"]}, {}, {}]
    dialogues = [DIALOGUE, OTHER, LONG]
    expected = predict_dialogues(model, processor, dialogues, histories)
    for size in (1, 16):
        found = predict_dialogues(engine, processor, dialogues, histories, batch_size=size)
        for theirs, ours in zip(expected, found, strict=True):
            assert [turn["label"] for turn in ours] == [turn["label"] for turn in theirs]
            assert all(abs(a["score"] - b["score"]) < 1e-4 for a, b in zip(ours, theirs, strict=True))


def test_int8_is_smaller_and_close(exported: Any, tmp_path: Path) -> None:
    model, processor, folder = exported
    small = export_onnx(model, processor, tmp_path, int8=True)
    assert (small / "model_int8.onnx").stat().st_size < (folder / "model.onnx").stat().st_size
    batch = processor([DIALOGUE, LONG])
    with torch.no_grad():
        expected = model(**batch).logits
    assert (small / "memory_int8.onnx").stat().st_size < (folder / "memory.onnx").stat().st_size
    found = OnnxEmoNet.from_folder(small)(**batch).logits
    real = batch["speaker_ids"] >= 0
    assert 0 < (found - expected)[real].abs().max() < 0.1 * expected[real].abs().max()


def test_a_changed_or_missing_file_is_noticed(exported: Any, tokenizer: Any, tmp_path: Path) -> None:
    model, processor, _ = exported
    folder = export_onnx(model, processor, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "context_window": 1}))
    with pytest.raises(
        EmoNetError, match=r"config.json was changed since model.onnx was exported.*emonet export --model"
    ):
        OnnxEmoNet.from_folder(folder)
    (folder / "config.json").write_text(json.dumps(config))
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[:-1])
    with pytest.raises(EmoNetError, match="incomplete or was changed"):
        OnnxEmoNet.from_folder(folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(EmoNetError, match=r"model.onnx is missing"):
        OnnxEmoNet.from_folder(folder)
    (folder / RECORD_FILE).unlink()
    with pytest.raises(EmoNetError, match=f"no {RECORD_FILE}: it is not an exported model"):
        OnnxEmoNet.from_folder(folder)


def test_decoders_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet-thesis", family="llama")
    with pytest.raises(EmoNetError, match="llama is a decoder: only encoder models"):
        export_onnx(model, processor, tmp_path)
    assert not list(tmp_path.iterdir())


def test_context_modules_without_a_graph_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "rgat")
    with pytest.raises(EmoNetError, match="'rgat' is not exported to ONNX; predict with --engine torch"):
        export_onnx(model, processor, tmp_path)


def test_computed_vectors_are_refused(exported: Any) -> None:
    _, _, folder = exported
    with pytest.raises(EmoNetError, match="takes no turn_embeds"):
        OnnxEmoNet.from_folder(folder)(turn_embeds=torch.zeros(1, 1, 32))


def test_the_commands_export_score_and_predict(
    tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path / "run")
    assert main(["export", "--model", str(tmp_path / "run"), "--output", str(tmp_path / "onnx")]) == 0
    assert "model.onnx" in capsys.readouterr().out
    (tmp_path / "script.txt").write_text("Ann: hello there\nBob: great we won\n")
    printed = []
    for words in (
        ["--model", str(tmp_path / "run")],
        ["--model", str(tmp_path / "onnx"), "--engine", "onnx"],
    ):
        assert main(["predict", *words, str(tmp_path / "script.txt")]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (
            main(["evaluate", *words, "--dataset", "sample", "--json", str(tmp_path / "figures.json")]) == 0
        )
        capsys.readouterr()
        printed.append(([row["label"] for row in rows], json.loads((tmp_path / "figures.json").read_text())))
    assert printed[0][1].pop("dtype") == "float32"
    assert printed[0] == printed[1] and len(printed[0][0]) == 2
