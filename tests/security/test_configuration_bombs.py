"""Configurations that ask for more than their weights hold: refused from the header,
before anything is made.

Each load runs in a process with bounded memory and time, so that a bomb that goes off
ends there.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from bounded_loads import BoundedLoads
from hypothesis import given
from hypothesis import strategies as st
from tiny import LABELS, build
from tiny_prompted import prompted
from without_emonet import run_without_emonet

from emonet.adapters.lora import LoraSettings, add_adapters, save_adapter
from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.prompted.configuration import PromptSettings

PACKED = "from emonet.modeling_emonet import EmoNetForSequenceClassification as M; "
PROMPTED = "from emonet.prompted.modeling import PromptedEmoNet as M; from emonet.prompted.configuration import PromptSettings; "
AUTO = "from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification; "


@pytest.fixture(scope="module")
def load() -> Iterator[BoundedLoads]:
    loads = BoundedLoads()
    yield loads
    loads.close()


def change(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    for name, value in fields.items():
        place = config
        *path, last = name.split("__")
        for part in path:
            place = place[part]
        place[last] = value
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "digests.json").unlink(missing_ok=True)


@pytest.fixture
def checkpoint(tokenizer: Any, tmp_path: Path) -> Path:
    model, processor = build(tokenizer, "emonet-thesis", head_members=3)
    model.processor = processor
    model.save_pretrained(tmp_path / "run")
    return tmp_path / "run"


BOMBS: dict[str, dict[str, Any]] = {
    "members": {"head_members": 10**7},
    "a few members more": {"head_members": 5},
    "layers": {"text_config__num_hidden_layers": 10**6},
    "a layer more": {"text_config__num_hidden_layers": 4},
    "vocabulary": {"text_config__vocab_size": 10**9},
    "hidden size": {"text_config__hidden_size": 10**5, "text_config__num_attention_heads": 4},
    "intermediate size": {"text_config__intermediate_size": 10**8},
    "positions": {"text_config__max_position_embeddings": 10**8},
    "labels": {"num_labels": 10**9, "id2label": None, "label2id": None},
    "labels of the backbone": {"text_config__num_labels": 10**9},
    "speakers": {"num_speakers": 10**9},
    "head": {"head_hidden_size": 10**8},
    "memory layers": {"memory_layers": 10**6},
    "memory size": {"memory_hidden_size": 10**6},
    "a context from nowhere": {"context_module": "gru", "text_config__hidden_size": 10**5},
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_in_a_checkpoint_is_refused(load: BoundedLoads, checkpoint: Path, name: str) -> None:
    change(checkpoint, **BOMBS[name])
    assert "EmoNetError" in load(f"{PACKED}M.from_pretrained({str(checkpoint)!r})")


@pytest.mark.parametrize("name", ["members", "layers", "labels"])
@pytest.mark.parametrize("auto", ["AutoModel", "AutoModelForSequenceClassification"])
def test_a_bomb_is_refused_by_the_auto_classes(
    load: BoundedLoads, checkpoint: Path, auto: str, name: str
) -> None:
    change(checkpoint, **BOMBS[name])
    assert "EmoNetError" in load(f"{AUTO}{auto}.from_pretrained({str(checkpoint)!r})")


WITHOUT = """
import resource
from transformers import AutoModel
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1200 * 2**20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
said = {}
for name in NAMES:
    try:
        AutoModel.from_pretrained(name, trust_remote_code=True)
        said[name] = "LOADED"
    except Exception as error:
        said[name] = type(error).__name__
report(said)
"""


def test_a_bomb_is_refused_where_the_package_is_not_installed(checkpoint: Path, tmp_path: Path) -> None:
    names = ("whole", "members", "a few members more", "layers", "vocabulary", "labels")
    for name in names:
        copytree(checkpoint, tmp_path / name)
        change(tmp_path / name, **BOMBS.get(name, {}))
    said = run_without_emonet(WITHOUT.replace("NAMES", str(names)), tmp_path)
    assert said == {name: "LOADED" if name == "whole" else "EmoNetError" for name in names}


def test_what_a_configuration_alone_makes_is_bounded(load: BoundedLoads, checkpoint: Path) -> None:
    change(checkpoint, **BOMBS["labels"])
    assert "EmoNetError" in load(f"{AUTO}AutoConfig.from_pretrained({str(checkpoint)!r})")


@pytest.mark.parametrize("name", ["members", "a few members more", "layers", "vocabulary"])
def test_sharded_weights_are_compared_too(
    load: BoundedLoads, tokenizer: Any, tmp_path: Path, name: str
) -> None:
    model, processor = build(tokenizer, "emonet-thesis", head_members=3)
    model.processor = processor
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    EmoNetForSequenceClassification.from_pretrained(tmp_path)
    change(tmp_path, **BOMBS[name])
    assert "EmoNetError" in load(f"{AUTO}AutoModel.from_pretrained({str(tmp_path)!r})")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_hidden_layers", 10**6),
        ("num_hidden_layers", 4),
        ("vocab_size", 10**9),
        ("hidden_size", 10**6),
        ("num_labels", 10**9),
    ],
)
@pytest.mark.parametrize("kind", ["packed", "prompted"])
def test_a_bomb_in_a_backbone_is_refused(
    load: BoundedLoads, backbone: Path, decoder: Path, tmp_path: Path, kind: str, name: str, value: int
) -> None:
    folder = tmp_path / "backbone"
    folder.mkdir()
    for file in (backbone if kind == "packed" else decoder).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    change(folder, **{name: value})
    make = {
        "packed": f"{PACKED}M.from_backbone({str(folder)!r})",
        "prompted": f"{PROMPTED}M.from_backbone({str(folder)!r}, ['a', 'b'], PromptSettings())",
    }
    assert "EmoNetError" in load(make[kind])


@pytest.mark.parametrize(
    "name", ["members", "a few members more", "layers", "vocabulary", "memory size", "labels"]
)
def test_a_bomb_in_adapters_is_refused(
    load: BoundedLoads, backbone: Path, tokenizer: Any, tmp_path: Path, name: str
) -> None:
    from emonet.processing_emonet import EmoNetProcessor

    model = EmoNetForSequenceClassification.from_backbone(str(backbone), head_members=3, num_speakers=3,
                                                          id2label=dict(enumerate(LABELS)),
                                                          label2id={label: n for n, label in enumerate(LABELS)})  # fmt: skip
    model.processor = EmoNetProcessor(tokenizer, model.config, {"Ann": 1, "Bob": 2})
    add_adapters(model, LoraSettings(rank=2))
    save_adapter(model, tmp_path, {})
    code = f"{PACKED}M.from_pretrained({str(tmp_path)!r}, backbone_path={str(backbone)!r})"
    assert load(code) == "LOADED"
    change(tmp_path, **BOMBS[name])
    assert "EmoNetError" in load(code)


@pytest.mark.parametrize(
    "fields", [{"text_config__num_hidden_layers": 10**6}, {"text_config__vocab_size": 10**9}]
)
def test_a_bomb_in_a_prompted_checkpoint_is_refused(
    load: BoundedLoads, decoder: Path, tmp_path: Path, fields: Any
) -> None:
    model = prompted(decoder, PromptSettings(window=1))
    model.save_pretrained(tmp_path)
    assert load(f"{AUTO}AutoModel.from_pretrained({str(tmp_path)!r})") == "LOADED"
    change(tmp_path, **fields)
    assert "EmoNetError" in load(f"{AUTO}AutoModel.from_pretrained({str(tmp_path)!r})")


def test_a_path_in_an_index_of_shards_is_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": {"emonet.encoder.x": "../elsewhere.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(EmoNetError, match="elsewhere"):
        EmoNetForSequenceClassification.from_pretrained(checkpoint)


SIZES = ["head_members", "num_speakers", "head_hidden_size", "memory_layers", "memory_hidden_size", "text_config__vocab_size",
         "text_config__hidden_size", "text_config__num_hidden_layers", "text_config__intermediate_size"]  # fmt: skip


@given(name=st.sampled_from(SIZES), value=st.integers(65, 10**12))
def test_any_size_beyond_the_file_is_refused(
    tokenizer: Any, tmp_path_factory: Any, name: str, value: int
) -> None:
    model, processor = build(tokenizer, "emonet-thesis", head_members=3)
    model.processor = processor
    folder = tmp_path_factory.mktemp("run")
    model.save_pretrained(folder)
    change(folder, **{name: value})
    with pytest.raises(ValueError):
        EmoNetForSequenceClassification.from_pretrained(folder)


@given(data=st.data())
def test_any_bytes_in_a_header_end_in_a_clear_error(
    checkpoint_bytes: bytes, tmp_path_factory: Any, data: Any
) -> None:
    from emonet.checkpoint.integrity import WeightsHeader

    content = bytearray(checkpoint_bytes)
    place = data.draw(st.integers(0, 400))
    content[place : place + data.draw(st.integers(1, 8))] = data.draw(st.binary(max_size=8))
    folder = tmp_path_factory.mktemp("run")
    (folder / "model.safetensors").write_bytes(content)
    try:
        header = WeightsHeader.find(folder, {})
    except EmoNetError:
        return
    assert header is not None and sum(len(shape) for shape in header.shapes.values()) < len(content)


@pytest.fixture(scope="module")
def checkpoint_bytes(tokenizer: Any, tmp_path_factory: Any) -> bytes:
    folder = tmp_path_factory.mktemp("weights")
    build(tokenizer, "emonet-thesis")[0].save_pretrained(folder)
    return (folder / "model.safetensors").read_bytes()
