"""Malicious and damaged checkpoints, archives and names."""

import json
import os
import pickle
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import command
from tiny import DIALOGUE

from emonet.checkpoint.resuming import last_whole_checkpoint
from emonet.data import features
from emonet.engines.load import load_engine
from emonet.engines.onnx_engine import OnnxEmoNet
from emonet.errors import EmoNetError
from emonet.hub.push import push_run
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.runs.train import train_run

DECIDING = ("model.safetensors", "tokenizer.json", "config.json", "speakers.json")


class Trap:
    """Create a folder when unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


EVIL = "from pathlib import Path\nPath({mark!r}).mkdir()\nfrom transformers import {base} as Evil\n"


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def flip(path: Path, index: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[index] ^= 1 << bit
    path.write_bytes(content)


@pytest.mark.parametrize("name", DECIDING)
def test_a_flipped_bit_never_goes_unnoticed(
    name: str, checkpoint: Path, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The checkpoint is refused; files that people edit only cause a warning."""
    rng, size = random.Random(name), (copy / name).stat().st_size
    for index in (0, 9, size - 1, *(rng.randrange(size) for _ in range(7))):
        shutil.copy(checkpoint / name, copy / name)
        flip(copy / name, index, rng.randrange(8))
        caplog.clear()
        try:
            load_engine(copy)
        except EmoNetError as error:
            assert str(copy) in str(error) and (
                "is damaged" in str(error) or name.endswith(("config.json", "speakers.json"))
            )
        else:
            assert (
                name.endswith(("config.json", "speakers.json"))
                and f"{copy / name} was changed" in caplog.text
            )


def test_a_damaged_checkpoint_is_a_one_line_error(copy: Path) -> None:
    flip(copy / "model.safetensors", -100, 3)
    answer = command("predict", "--model", str(copy), stdin=b"Ann: hello")
    assert answer.status == 2 and "model.safetensors is damaged" in answer.err
    (copy / "digests.json").unlink()
    assert command("predict", "--model", str(copy), stdin=b"Ann: hello").status == 0
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:5000])
    answer = command("predict", "--model", str(copy), stdin=b"Ann: hello")
    assert answer.status == 2 and "model.safetensors" in answer.err


def test_saving_a_checkpoint_again_renews_the_digests(copy: Path) -> None:
    model = EmoNetForSequenceClassification.from_pretrained(copy)
    with torch.no_grad():
        model.classifier[-1].bias.add_(1)
    model.save_pretrained(copy)
    assert load_engine(copy)[0].predict(DIALOGUE)


@pytest.mark.parametrize("name", ["../digests.json", "../../x.safetensors", "/etc/passwd"])
def test_digests_name_no_file_elsewhere(name: str, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_text("x")
    (copy / "digests.json").write_text(json.dumps({name: "0"}))
    with (
        pytest.raises(EmoNetError, match="damaged")
        if Path(copy, Path(name).name).is_file()
        else pytest.MonkeyPatch.context()
    ):
        load_engine(copy)


# -- pickles


def test_weights_as_a_pickle_are_not_opened(copy: Path, tmp_path: Path) -> None:
    torch.save({"weight": Trap(tmp_path / "mark")}, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(EmoNetError, match=r"no checkpoint that loads .*model\.safetensors"):
        load_engine(copy)
    assert not (tmp_path / "mark").exists()


def test_a_backbone_as_a_pickle_runs_nothing(backbone: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(backbone, tmp_path / "backbone"))
    torch.save({"weight": Trap(tmp_path / "mark")}, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    words = ["--dataset", "sample", "--backbone", str(copy), "--output-dir", str(tmp_path / "run")]
    assert command("train", *words, "--preset", "context").status == 2
    assert not (tmp_path / "mark").exists()


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    ["optimizer.pt", pytest.param("scheduler.pt", marks=SLOW), pytest.param("rng_state.pth", marks=SLOW)],
)
def test_a_checkpoint_to_resume_from_runs_nothing(name: str, backbone: Path, tmp_path: Path) -> None:
    settings = {"num_train_epochs": 1, "per_device_train_batch_size": 32}
    options: dict[str, Any] = {
        "preset": "context",
        "backbone": str(backbone),
        "progress": False,
        "training_overrides": settings,
    }
    train_run("sample", tmp_path / "run", **options)
    found = last_whole_checkpoint(tmp_path / "run" / "checkpoints")
    assert found is not None
    with (found / name).open("wb") as file:
        pickle.dump(Trap(tmp_path / "mark"), file)
    words = [
        "--dataset",
        "sample",
        "--backbone",
        str(backbone),
        "--output-dir",
        str(tmp_path / "run"),
        "--epochs",
        "2",
    ]
    assert command("train", *words, "--preset", "context", "--resume").status == 2
    assert not (tmp_path / "mark").exists()


def test_a_pickled_cache_is_computed_again(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    np.save(
        tmp_path / "features" / "key.npy",
        np.array([Trap(tmp_path / "mark")], dtype=object),
        allow_pickle=True,
    )
    table = features._cached("key", (2, 3), lambda out: out.fill(7), tmp_path)
    assert (table == 7).all() and not (tmp_path / "mark").exists()


# -- remote code


def nest(folder: Path, mark: Path) -> None:
    """Put code beside a checkpoint, with all entries that could make a loader run it."""
    for base in ("AutoConfig", "BertModel", "PreTrainedTokenizerFast"):
        (folder / f"evil_{base.lower()}.py").write_text(EVIL.format(mark=str(mark), base=base))
    auto_map = {
        "AutoConfig": "evil_autoconfig.Evil",
        "AutoModel": "evil_bertmodel.Evil",
        "AutoModelForCausalLM": "evil_bertmodel.Evil",
        "AutoTokenizer": [None, "evil_pretrainedtokenizerfast.Evil"],
    }
    config = json.loads((folder / "config.json").read_text())
    if "text_config" in config:
        config["text_config"] |= {
            "auto_map": auto_map,
            "trust_remote_code": True,
            "_name_or_path": str(folder),
        }
    config |= {"auto_map": auto_map, "trust_remote_code": True}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**tokenizer, "auto_map": auto_map, "trust_remote_code": True})
    )


def test_nested_code_of_a_checkpoint_is_not_run(copy: Path, tmp_path: Path) -> None:
    nest(copy, tmp_path / "mark")
    answer = command("predict", "--model", str(copy), stdin=b"Ann: hello")
    assert not (tmp_path / "mark").exists()
    assert answer.status == 0 and answer.out.count("\n") == 1


def test_a_backbone_inside_that_needs_code_is_refused(copy: Path, tmp_path: Path) -> None:
    nest(copy, tmp_path / "mark")
    config = json.loads((copy / "config.json").read_text())
    config["text_config"]["model_type"] = "evil"
    (copy / "config.json").write_text(json.dumps(config))
    answer = command("predict", "--model", str(copy), stdin=b"Ann: hello")
    assert answer.status == 2 and "Backbones with code of their own are refused" in answer.err
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("kind", ["bert", "evil"])
def test_code_of_a_backbone_is_not_run(kind: str, backbone: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(backbone, tmp_path / "backbone"))
    nest(copy, tmp_path / "mark")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": kind}))
    words = [
        "--dataset",
        "sample",
        "--backbone",
        str(copy),
        "--output-dir",
        str(tmp_path / "run"),
        "--epochs",
        "1",
    ]
    answer = command("train", *words, "--preset", "emonet-fast")
    assert not (tmp_path / "mark").exists()
    assert answer.status == (0 if kind == "bert" else 2)


# -- paths outside the folder


def test_an_export_names_no_file_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "onnx"
    folder.mkdir()
    (tmp_path / "other.onnx").write_bytes(b"x")
    for name in ("../other.onnx", str(tmp_path / "other.onnx")):
        (folder / "onnx.json").write_text(
            json.dumps({"files": {"model": {"file": name, "sha256": "0"}}, "config": "0"})
        )
        with pytest.raises(EmoNetError, match="is not the name of a file in it"):
            OnnxEmoNet.from_folder(folder)


@pytest.mark.parametrize(
    "repo_id",
    ["../../etc", "user/../../x", "user/..", "/etc/passwd", "a/b/c", "", "user/na me", "user/\0", "--x"],
)
def test_a_repository_name_is_a_name(
    repo_id: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    with pytest.raises(ValueError, match=r"(?i)repo.?id|repository"):
        push_run(checkpoint, repo_id)
    answer = command("push", "--model", str(checkpoint), f"--repo-id={repo_id}")
    assert answer.status == 2


def test_shards_elsewhere_are_not_published(copy: Path) -> None:
    (copy / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "../../secret.safetensors"}})
    )
    with pytest.raises(EmoNetError, match="is not the name of a file in it"):
        push_run(copy, "user/x")
