"""A Space holds the package, the checkpoint or its id, an app and a card."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from fake_hub import USER, FakeHub
from huggingface_hub import HfApi
from tiny_serving import save_tiny_model

from emonet.errors import EmoNetError
from emonet.hub.push_space import push_space, write_space


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("space") / "albatross")


def test_a_run_folder_is_copied(run: Path, tmp_path: Path) -> None:
    folder = write_space(str(run), tmp_path / "space")
    metadata = yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])
    assert metadata["sdk"] == "gradio" and metadata["app_file"] == "app.py" and "models" not in metadata
    assert 'serve("models/albatross"' in (folder / "app.py").read_text()
    for name in (
        "models/albatross/model.safetensors",
        "emonet/py.typed",
        "emonet/serving/page/style.css",
        "emonet/hub/space/app.py",
    ):
        assert (folder / name).is_file(), name
    assert not (folder / "emonet" / "tests").exists() and not list(folder.rglob("__pycache__"))
    needed = (folder / "requirements.txt").read_text()
    packages = ("torch", "transformers", "gradio", "fastapi", "uvicorn", "aiohttp>=")
    assert all(name in needed for name in packages)


def test_a_hub_id_is_named_and_nothing_is_copied(tmp_path: Path) -> None:
    folder = write_space("user/model", tmp_path / "space")
    assert yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])["models"] == [
        "user/model"
    ]
    assert 'serve("user/model"' in (folder / "app.py").read_text() and not (folder / "models").exists()


@pytest.mark.parametrize("model", ["nowhere", "a/b/c", '"); import os; ("a/b', "../x"])
def test_a_name_that_is_no_model_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(EmoNetError, match="neither a run folder"):
        write_space(model, tmp_path / "space")


def test_a_folder_that_would_not_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    with pytest.raises(EmoNetError, match="lacks"):
        write_space(str(tmp_path / "half"), tmp_path / "space")


def test_a_push_is_one_commit_and_a_second_removes_the_old_model(run: Path, tmp_path: Path) -> None:
    with FakeHub() as hub, hub.here(tmp_path / "cache"):
        push_space(str(run), f"{USER}/demo")
        names = HfApi().list_repo_files(f"{USER}/demo", repo_type="space")
        assert "models/albatross/model.safetensors" in names and "app.py" in names
        push_space("user/model", f"{USER}/demo")
        names = HfApi().list_repo_files(f"{USER}/demo", repo_type="space")
        assert "app.py" in names and not [name for name in names if name.startswith("models/")]


@pytest.mark.slow
def test_the_space_serves_without_the_package(run: Path, tmp_path: Path) -> None:
    folder = write_space(str(run), tmp_path / "space")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = folder / "app.py"
    app.write_text(app.read_text().replace("7860", str(port)).replace("0.0.0.0", "127.0.0.1"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=environment) as server:
        try:
            for _ in range(240):
                try:
                    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode()
                    break
                except OSError:
                    time.sleep(0.5)
            assert "gradio" in page
            health = urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/health", timeout=30).read().decode()
            assert '"model":"albatross"' in health
        finally:
            server.terminate()
