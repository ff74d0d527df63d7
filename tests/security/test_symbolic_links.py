"""No file outside a folder is published or overwritten through a symbolic link."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_hub import USER, FakeHub
from huggingface_hub import HfApi, snapshot_download
from tiny import DIALOGUE, build

from emonet.adapters.lora import LoraSettings, add_adapters, save_adapter
from emonet.engines.onnx_export import export_onnx
from emonet.errors import EmoNetError
from emonet.files.guard import refuse_outside_links
from emonet.hub.push import push_run
from emonet.hub.push_space import write_space
from emonet.inference.session import EmoNetSession

SECRET = "the password of somebody else"


@pytest.fixture
def model(tokenizer: Any) -> Any:
    model, model.processor = build(tokenizer, "emonet-thesis")
    return model


@pytest.fixture
def run(model: Any, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


def linked(path: Path, target: Path) -> Path:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("name", ["vocab.txt", "test_metrics.json", "checkpoint-9/config.json", "README.md"])
def test_a_push_publishes_no_outside_file(name: str, run: Path, secret: Path, tmp_path: Path) -> None:
    linked(run / name, secret)
    with FakeHub() as hub, hub.here(tmp_path / "cache"):
        with pytest.raises(
            EmoNetError, match=rf"{name} is a symbolic link that leads out of the folder, to .*secret.txt"
        ):
            push_run(run, f"{USER}/run")
        assert not HfApi().repo_exists(f"{USER}/run")
    assert secret.read_text() == SECRET


def test_a_space_holds_no_outside_file(run: Path, secret: Path, tmp_path: Path) -> None:
    linked(run / "vocab.txt", secret)
    with pytest.raises(EmoNetError, match=r"vocab\.txt is a symbolic link"):
        write_space(str(run), tmp_path / "space")
    assert not (tmp_path / "space").exists()


def adapter_writer(tokenizer: Any) -> Callable[[Path], None]:
    model, model.processor = build(tokenizer, "emonet-lm", "llama")
    add_adapters(model, LoraSettings(rank=2))
    return lambda folder: save_adapter(model, folder)


def session_writer(tokenizer: Any) -> Callable[[Path], None]:
    session = EmoNetSession(*build(tokenizer, "emonet-fast", "llama"))
    session.add(**{name: DIALOGUE[0][name] for name in ("speaker", "text")})
    return session.save


WRITERS: dict[str, tuple[str, Callable[[Any], Callable[[Path], Any]]]] = {
    "save_pretrained": ("config.json", lambda tokenizer: build_with_processor(tokenizer).save_pretrained),
    "processor": (
        "speakers.json",
        lambda tokenizer: build_with_processor(tokenizer).processor.save_pretrained,
    ),
    "save_adapter": ("emonet_adapter.json", adapter_writer),
    "export_onnx": (
        "onnx.json",
        lambda tokenizer: lambda folder: export_onnx(*build(tokenizer, "emonet-thesis"), folder),
    ),
    "session": ("session.json", session_writer),
}


def build_with_processor(tokenizer: Any) -> Any:
    model, model.processor = build(tokenizer, "emonet-thesis")
    return model


@pytest.mark.parametrize("kind", WRITERS)
def test_nothing_is_written_through_a_link(kind: str, tokenizer: Any, secret: Path, tmp_path: Path) -> None:
    name, make = WRITERS[kind]
    link = linked(tmp_path / "out" / name, secret)
    with pytest.raises(EmoNetError, match=f"{name} is a symbolic link that leads out of the folder"):
        make(tokenizer)(tmp_path / "out")
    assert secret.read_text() == SECRET and list((tmp_path / "out").iterdir()) == [link]


def test_links_inside_and_to_the_folder_pass(run: Path, tmp_path: Path) -> None:
    linked(run / "vocab.txt", Path("config.json"))
    linked(run / "checkpoint-9" / "config.json", run / "config.json")
    refuse_outside_links(linked(tmp_path / "latest", run))
    refuse_outside_links(tmp_path / "missing")
    linked(run / "loop", run / "loop")
    refuse_outside_links(run)


@pytest.mark.parametrize("target", ["../other", "../run-2/config.json", "nowhere/../../gone"])
def test_sibling_folders_and_dangling_links_are_outside(target: str, run: Path) -> None:
    linked(run / "vocab.txt", Path(target))
    with pytest.raises(EmoNetError, match=r"vocab\.txt is a symbolic link"):
        refuse_outside_links(run)


def test_pushing_a_cached_snapshot_changes_no_blob(run: Path, secret: Path, tmp_path: Path) -> None:
    with FakeHub() as hub, hub.here(tmp_path / "cache"):
        push_run(run, f"{USER}/run")
        snapshot = Path(snapshot_download(f"{USER}/run"))
        assert (snapshot / "handler.py").is_symlink(), "the cache of this test has links"
        blobs = {path.name: path.read_bytes() for path in (snapshot.parents[1] / "blobs").iterdir()}
        handler = (snapshot / "handler.py").resolve()
        handler.write_text("# an older version's\n")
        blobs[handler.name] = handler.read_bytes()
        push_run(snapshot, f"{USER}/copy")
        assert "model.safetensors" in HfApi().list_repo_files(f"{USER}/copy")
        assert {path.name: path.read_bytes() for path in (snapshot.parents[1] / "blobs").iterdir()} == blobs
        linked(snapshot / "vocab.txt", secret)
        with pytest.raises(EmoNetError, match=r"vocab\.txt is a symbolic link"):
            push_run(snapshot, f"{USER}/copy")
        (snapshot / "vocab.txt").unlink()
        linked(snapshot.parents[1] / "blobs" / "0", secret)
        linked(snapshot / "vocab.txt", Path("../../blobs/0"))
        with pytest.raises(EmoNetError, match=r"vocab\.txt is a symbolic link"):
            push_run(snapshot, f"{USER}/copy")


def test_a_snapshot_is_not_written_through(model: Any, run: Path, tmp_path: Path) -> None:
    with FakeHub() as hub, hub.here(tmp_path / "cache"):
        push_run(run, f"{USER}/run")
        snapshot = Path(snapshot_download(f"{USER}/run"))
        with pytest.raises(EmoNetError, match="is a symbolic link"):
            model.save_pretrained(snapshot)
