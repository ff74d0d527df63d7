"""Configurations that ask for more than their weights hold are refused.

Each load runs in a process with bounded memory and time, so that a bomb that goes off
ends there. Checkpoints are made once and copied: attacks change their `config.json` only.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from bounded_loads import BoundedLoads
from hypothesis import given
from hypothesis import strategies as st
from tiny import LABEL_MAPS, SPEAKERS, build
from tiny_prompted import prompted
from without_emonet import run_without_emonet

from emonet.adapters.lora import LoraSettings, add_adapters, save_adapter
from emonet.checkpoint.integrity import WeightsHeader
from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.processing_emonet import EmoNetProcessor
from emonet.prompted.configuration import PromptSettings

ENCODER = "from emonet.modeling_emonet import EmoNetForSequenceClassification as M; "
PROMPTED = (
    "from emonet.prompted.modeling import PromptedEmoNet as M; "
    "from emonet.prompted.configuration import PromptSettings; "
)
AUTO = "from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification; "


@pytest.fixture(scope="module")
def load() -> Iterator[BoundedLoads]:
    loads = BoundedLoads()
    yield loads
    loads.close()


def change(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    for name, value in fields.items():
        *path, last = name.split("__")
        target = config
        for part in path:
            target = target[part]
        target[last] = value
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "digests.json").unlink(missing_ok=True)


Changed = Callable[..., Path]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """Copy a checkpoint and change fields of its configuration."""

    def copy(folder: Path, **fields: Any) -> Path:
        copytree(folder, tmp_path / "copy")
        change(tmp_path / "copy", **fields)
        return tmp_path / "copy"

    return copy


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    model, model.processor = build(tokenizer, "emonet-thesis", head_members=3)
    return model


@pytest.fixture(scope="module")
def checkpoint(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def shards(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    EmoNetForSequenceClassification.from_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapters(backbone: Path, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    model = EmoNetForSequenceClassification.from_backbone(
        str(backbone), head_members=3, num_speakers=3, **LABEL_MAPS
    )
    model.processor = EmoNetProcessor(tokenizer, model.config, SPEAKERS)
    add_adapters(model, LoraSettings(rank=2))
    save_adapter(model, folder, {})
    return folder


@pytest.fixture(scope="module")
def prompted_checkpoint(decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompted")
    prompted(decoder, PromptSettings(window=1)).save_pretrained(folder)
    return folder


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
def test_a_bomb_in_a_checkpoint_is_refused(
    load: BoundedLoads, checkpoint: Path, changed: Changed, name: str
) -> None:
    folder = changed(checkpoint, **BOMBS[name])
    assert "EmoNetError" in load(f"{ENCODER}M.from_pretrained({str(folder)!r})")


@pytest.mark.parametrize("name", ["members", "layers", "labels"])
@pytest.mark.parametrize("auto", ["AutoModel", "AutoModelForSequenceClassification"])
def test_a_bomb_is_refused_by_the_auto_classes(
    load: BoundedLoads, checkpoint: Path, changed: Changed, auto: str, name: str
) -> None:
    folder = changed(checkpoint, **BOMBS[name])
    assert "EmoNetError" in load(f"{AUTO}{auto}.from_pretrained({str(folder)!r})")


WITHOUT = """
import resource
from transformers import AutoModel
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1200 * 2**20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
results = {}
for name in NAMES:
    try:
        AutoModel.from_pretrained(name, trust_remote_code=True)
        results[name] = "LOADED"
    except Exception as error:
        results[name] = type(error).__name__
report(results)
"""


@pytest.mark.slow
def test_a_bomb_is_refused_without_emonet(checkpoint: Path, tmp_path: Path) -> None:
    names = ("intact", "members", "a few members more", "layers", "vocabulary", "labels")
    for name in names:
        copytree(checkpoint, tmp_path / name)
        change(tmp_path / name, **BOMBS.get(name, {}))
    results = run_without_emonet(WITHOUT.replace("NAMES", str(names)), tmp_path)
    assert results == {name: "LOADED" if name == "intact" else "EmoNetError" for name in names}


def test_a_bomb_in_a_configuration_alone_is_refused(
    load: BoundedLoads, checkpoint: Path, changed: Changed
) -> None:
    folder = changed(checkpoint, **BOMBS["labels"])
    assert "EmoNetError" in load(f"{AUTO}AutoConfig.from_pretrained({str(folder)!r})")


@pytest.mark.parametrize("name", ["members", "a few members more", "layers", "vocabulary"])
def test_a_bomb_beside_shards_is_refused(
    load: BoundedLoads, shards: Path, changed: Changed, name: str
) -> None:
    folder = changed(shards, **BOMBS[name])
    assert "EmoNetError" in load(f"{AUTO}AutoModel.from_pretrained({str(folder)!r})")


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
@pytest.mark.parametrize("kind", ["encoder", "prompted"])
def test_a_bomb_in_a_backbone_is_refused(
    load: BoundedLoads, backbone: Path, decoder: Path, changed: Changed, kind: str, name: str, value: int
) -> None:
    folder = changed(backbone if kind == "encoder" else decoder, **{name: value})
    code = {
        "encoder": f"{ENCODER}M.from_backbone({str(folder)!r})",
        "prompted": f"{PROMPTED}M.from_backbone({str(folder)!r}, ['a', 'b'], PromptSettings())",
    }
    assert "EmoNetError" in load(code[kind])


def load_adapters(folder: Path, backbone: Path) -> str:
    return f"{ENCODER}M.from_pretrained({str(folder)!r}, backbone_path={str(backbone)!r})"


def test_intact_checkpoints_load(
    load: BoundedLoads, checkpoint: Path, adapters: Path, backbone: Path, prompted_checkpoint: Path
) -> None:
    assert load(f"{ENCODER}M.from_pretrained({str(checkpoint)!r})") == "LOADED"
    assert load(f"{ENCODER}M.from_backbone({str(backbone)!r})") == "LOADED"
    assert load(load_adapters(adapters, backbone)) == "LOADED"
    assert load(f"{AUTO}AutoModel.from_pretrained({str(prompted_checkpoint)!r})") == "LOADED"


@pytest.mark.parametrize(
    "name", ["members", "a few members more", "layers", "vocabulary", "memory size", "labels"]
)
def test_a_bomb_in_adapters_is_refused(
    load: BoundedLoads, backbone: Path, adapters: Path, changed: Changed, name: str
) -> None:
    folder = changed(adapters, **BOMBS[name])
    assert "EmoNetError" in load(load_adapters(folder, backbone))


@pytest.mark.parametrize("name", ["layers", "vocabulary"])
def test_a_bomb_in_a_prompted_checkpoint_is_refused(
    load: BoundedLoads, prompted_checkpoint: Path, changed: Changed, name: str
) -> None:
    folder = changed(prompted_checkpoint, **BOMBS[name])
    assert "EmoNetError" in load(f"{AUTO}AutoModel.from_pretrained({str(folder)!r})")


def test_a_path_in_an_index_of_shards_is_refused(checkpoint: Path, changed: Changed) -> None:
    folder = changed(checkpoint)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": {"emonet.encoder.x": "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(EmoNetError, match="elsewhere"):
        EmoNetForSequenceClassification.from_pretrained(folder)


SIZES = [
    "head_hidden_size",
    "head_members",
    "memory_hidden_size",
    "memory_layers",
    "num_speakers",
    "text_config__hidden_size",
    "text_config__intermediate_size",
    "text_config__num_hidden_layers",
    "text_config__vocab_size",
]


@pytest.fixture(scope="module")
def writable(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copytree(checkpoint, tmp_path_factory.mktemp("writable") / "run")


@given(name=st.sampled_from(SIZES), value=st.integers(65, 10**12))
def test_any_size_beyond_the_file_is_refused(checkpoint: Path, writable: Path, name: str, value: int) -> None:
    (writable / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    change(writable, **{name: value})
    with pytest.raises(ValueError):
        EmoNetForSequenceClassification.from_pretrained(writable)


@given(data=st.data())
def test_any_bytes_in_a_header_end_in_a_clear_error(
    checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    content = bytearray((checkpoint / "model.safetensors").read_bytes())
    start = data.draw(st.integers(0, 400))
    content[start : start + data.draw(st.integers(1, 8))] = data.draw(st.binary(max_size=8))
    folder = tmp_path_factory.mktemp("run")
    (folder / "model.safetensors").write_bytes(content)
    try:
        header = WeightsHeader.find(folder, {})
    except EmoNetError:
        return
    assert header is not None and sum(len(shape) for shape in header.shapes.values()) < len(content)
