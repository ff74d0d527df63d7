"""Run every code block of the README and the documentation as it is printed.

The blocks of a section run in order, in a folder with what they name: `RUN`, `RUN_A` and
`RUN_B` (trained checkpoints with test predictions), `DIR`, `FOLDER` (conversations),
`script.txt` and `turns.parquet`. Tiny models replace the embedded backbones and the
built-in model, a small corpus the large ones, a study of two rows the long ones, and
`pip` does nothing.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import document_blocks
import pytest
import yaml
from command_server import install_client
from document_blocks import MARKS, Block, blocks
from fake_hub import FakeHub
from readings import shown_reading
from tiny_study import tiny_study

from emonet.backbones.embedded import EMBEDDED_BACKBONES
from emonet.dialogue.tables.columns import FIELDS
from emonet.pretrained.models import DEFAULT

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
BLOCKS = [block for page in PAGES for block in blocks(page, ROOT)]
RUNNABLE, DATA, DISPLAYED = ("bash", "python"), ("csv", "json", "jsonl", "yaml"), ("mermaid", "text")

SCENES = [
    [
        ("Monica Geller", "we had a deal", "Mad"),
        ("Ross Geller", "i love fossils", "Joyful"),
        ("Monica Geller", "no", "Mad"),
    ],
    [
        ("Ross Geller", "leave me alone", "Sad"),
        ("The Waiter", "hello there", "Neutral"),
        ("Ross Geller", "great", "Peaceful"),
    ],
    [
        ("Phoebe Buffay", "hello there", "Joyful"),
        ("Monica Geller", "how are you", "Neutral"),
        ("Ross Geller", "we won", "Powerful"),
    ],
    [
        ("Monica Geller", "i hate this so very much", "Scared"),
        ("Phoebe Buffay", "that is wonderful news", "Joyful"),
    ],
]


@dataclass(frozen=True)
class World:
    """Where sections run: a folder to copy, and the environment of their shell."""

    start: Path
    environment: dict[str, str]

    def shell(self, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Iterator[World]:
    root = tmp_path_factory.mktemp("documents")
    start, programs = root / "start", root / "bin"
    for folder in (programs, start / "DIR", start / "FOLDER", root / "cache"):
        folder.mkdir(parents=True)
    write_conversations(start / "FOLDER")
    install_backbones(root / "cache" / "backbones", tokenizer)
    study = root / "study.json"
    study.write_text(json.dumps({**tiny_study(Path("minilm")), "seeds": [1]}))
    replacements = dict.fromkeys(("emorynlp", "meld"), str(start / "FOLDER"))
    replacements |= dict.fromkeys(("emorynlp_cached", "emorynlp_finetuned"), str(study))
    install_client(programs, root / "socket")
    (programs / "pip").write_text("#!/bin/sh\nexit 0\n")
    (programs / "pip").chmod(0o755)
    server = [
        sys.executable,
        str(Path(document_blocks.__file__).with_name("command_server.py")),
        str(root / "socket"),
        json.dumps(replacements),
    ]
    with FakeHub() as hub:
        environment = {
            **os.environ,
            **hub.environment,
            "HF_HUB_DISABLE_XET": "1",
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HF_HOME": str(root / "hf"),
            "EMONET_CACHE": str(root / "cache"),
            "OMP_NUM_THREADS": "1",
        }
        with subprocess.Popen(server, env=environment) as process:
            try:
                wait_for(root / "socket", process)
                world = World(start, environment)
                train(world)
                yield world
            finally:
                process.kill()


def wait_for(socket: Path, process: subprocess.Popen) -> None:
    while not socket.exists():
        assert process.poll() is None, "the server of commands did not start"
        time.sleep(0.05)


def write_conversations(folder: Path) -> None:
    """Write three splits with the same people as JSON lines."""
    for split, times in (("train", 3), ("validation", 1), ("test", 1)):
        rows = [
            {
                "dialogue_id": f"{split}-{index}-{repetition}",
                "speaker": speaker,
                "text": text,
                "emotion": emotion,
            }
            for repetition in range(times)
            for index, scene in enumerate(SCENES)
            for speaker, text, emotion in scene
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def install_backbones(folder: Path, tokenizer: Any) -> None:
    """Install tiny models in place of the embedded ones, with a complete manifest."""
    import torch
    from tiny import LABELS, text_config
    from transformers import BertModel, LlamaForCausalLM

    tokenizer = deepcopy(tokenizer)
    tokenizer.add_tokens(LABELS)  # a prompted model needs them as words
    for name, family, made in (("minilm", "bert", BertModel), ("smollm2", "llama", LlamaForCausalLM)):
        torch.manual_seed(0)
        target = folder / f"{name}-{EMBEDDED_BACKBONES[name].version}"
        made(text_config(family, vocab_size=len(tokenizer))).save_pretrained(target)
        tokenizer.save_pretrained(target)
        files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in target.iterdir()}
        manifest = {"name": name, "sha256": files["model.safetensors"], "files": files}
        (target / "emonet_backbone.json").write_text(json.dumps(manifest))


def train(world: World) -> None:
    """Make the checkpoints and files that sections start with."""
    done = world.shell(
        "emonet train --dataset FOLDER --preset emonet-fast --head-members 1 --epochs 2 "
        "--speaker-memory corpus --output-dir RUN\n"
        "emonet evaluate --model RUN --dataset FOLDER --predictions RUN/test_predictions.jsonl\n"
        f"cp -r RUN RUN_A; cp -r RUN RUN_B; cp -r RUN {DEFAULT}",  # a folder wins over a built-in model
        world.start,
    )
    assert done.returncode == 0, done.stderr
    import pyarrow as pa
    import pyarrow.parquet as pq

    (world.start / "script.txt").write_text("Theo: You threw away my sandwich?!\nMaya: I'm so sorry.\n")
    rows = [{"dialogue_id": str(index // 3), "speaker": "Ann", "text": "hello there"} for index in range(12)]
    pq.write_table(pa.Table.from_pylist(rows), world.start / "turns.parquet")


def sections(slow: bool) -> list[Any]:
    """(page, section) pairs with blocks to run, as parameters of a test."""
    mark = "slow" if slow else ""
    found = {
        (block.page, block.section) for block in BLOCKS if block.language in RUNNABLE and block.mark == mark
    }
    return [pytest.param(*section, id=": ".join(section)) for section in sorted(found)]


def run_section(world: World, page: str, section: str, folder: Path, slow: bool = False) -> None:
    shutil.copytree(world.start, folder, dirs_exist_ok=True)
    page_blocks = write_files(page, folder)
    printed = ""
    for block in page_blocks:
        if block.section == section and block.mark == "prints" and not slow:
            assert printed == block.text, f"{page}, line {block.line}: not what the block above prints"
        runs = block.language in RUNNABLE and (block.mark == "" or (block.mark == "slow" and slow))
        if block.section != section or not runs:
            continue
        script = block.text
        if block.language == "python":
            (folder / "block.py").write_text(block.text, "utf-8")
            script = "python block.py"
        done = world.shell(script, folder)
        assert done.returncode == 0, (
            f"{page}, line {block.line}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        printed = done.stdout


def write_files(page: str, folder: Path) -> list[Block]:
    """Write the files that a page shows, and return the blocks of the page."""
    page_blocks = [block for block in BLOCKS if block.page == page]
    for block in page_blocks:
        if block.mark == "file":
            (folder / block.note).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.note).write_text(block.text, "utf-8")
    return page_blocks


@pytest.mark.parametrize(("page", "section"), sections(slow=False))
def test_section_runs(world: World, page: str, section: str, tmp_path: Path) -> None:
    run_section(world, page, section, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "section"), sections(slow=True))
def test_slow_section_runs(world: World, page: str, section: str, tmp_path: Path) -> None:
    run_section(world, page, section, tmp_path, slow=True)


@pytest.mark.parametrize(
    "block", [pytest.param(b, id=f"{b.page}:{b.note}") for b in BLOCKS if b.mark == "read"]
)
def test_file_is_read_as_shown(block: Block, tmp_path: Path) -> None:
    write_files(block.page, tmp_path)
    assert shown_reading(tmp_path / block.note) == block.text


def test_columns_are_found_as_the_page_says() -> None:
    page = (ROOT / "docs" / "your_data.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page, re.MULTILINE)
    assert [field for field, _ in rows] == list(FIELDS)
    for field, names in rows:
        assert set(re.findall(r"`(\w+)`", names)) <= set(FIELDS[field])


@pytest.mark.parametrize("block", [pytest.param(b, id=f"{b.page}:{b.line}") for b in BLOCKS])
def test_block_is_valid(block: Block) -> None:
    assert block.language in (*RUNNABLE, *DATA, *DISPLAYED), "give the block a known language"
    assert not block.mark or block.mark in MARKS, (
        f"<!-- {block.mark}: … -->: the marks are {', '.join(MARKS)}"
    )
    assert not block.mark or len(block.note) > 3, "give the reason or the path"
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "jsonl":
        [json.loads(line) for line in block.text.splitlines()]
    elif block.language == "yaml":
        yaml.safe_load(block.text)


def test_broken_block_fails(world: World, tmp_path: Path) -> None:
    for script in (
        "emonet train --no-such-flag",
        "printf '{\"pages\": 3}' | emonet predict --model RUN",
        "python missing.py",
    ):
        assert world.shell(script, world.start).returncode not in (0, None), script
