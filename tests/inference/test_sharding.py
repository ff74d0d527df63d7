"""Sharded training equals one process, and the documented configurations load."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_training import encoded

DOCUMENT = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text("utf-8")

SHARDED = """
import json, os, sys
from pathlib import Path
sys.path[:0] = [{helpers!r}, {here!r}]
import torch.distributed as dist
from test_sharding import loss_and_norm
from tiny import make_tokenizer
dist.init_process_group("gloo")
result = loss_and_norm(make_tokenizer(), dist.get_rank(), 2)
if dist.get_rank() == 0:
    Path({folder!r}, "result.json").write_text(json.dumps(result))
dist.destroy_process_group()
"""


def loss_and_norm(tokenizer: Any, rank: int = 0, processes: int = 1) -> tuple[float, float]:
    """Loss and gradient norm of one step on this process's share of 16 dialogues."""
    model, _, split, collator = encoded(tokenizer, "emonet-thesis")
    model.train()
    if processes > 1:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh("cpu", (processes,))
        for layer in model.emonet.encoder.encoder.layer:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        assert any(type(weight).__name__ == "DTensor" for weight in model.emonet.encoder.parameters())
    share = 16 // processes
    batch = collator([split[index] for index in range(rank * share, (rank + 1) * share)])
    weights = torch.tensor(model.config.class_weights)
    everything = collator([split[index] for index in range(16)])["labels"]
    total = weights[everything[everything != -100]].sum()
    own = weights[batch["labels"][batch["labels"] != -100]].sum()
    loss = model(**batch).loss * own / total  # this share of the step's loss
    (loss * processes).backward()  # gradients are averaged over processes
    squares = torch.zeros(())
    for weight in model.parameters():
        if weight.grad is not None:
            gradient = weight.grad.full_tensor() if hasattr(weight.grad, "full_tensor") else weight.grad
            squares = squares + gradient.square().sum()
    whole = loss.detach().clone()
    if processes > 1:
        torch.distributed.all_reduce(whole)
    return float(whole), float(squares.sqrt())


@pytest.mark.slow
def test_fsdp_equals_one_process(tokenizer: Any, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    here = Path(__file__).parent
    paths = {"helpers": str(here.parent / "helpers"), "here": str(here), "folder": str(tmp_path)}
    script.write_text(SHARDED.format(**paths))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--standalone",
        str(script),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    loss, norm = json.loads((tmp_path / "result.json").read_text())
    alone = loss_and_norm(tokenizer)
    assert (
        loss == pytest.approx(alone[0], abs=1e-4)
        and norm == pytest.approx(alone[1], abs=1e-4)
        and norm > 1e-3
    )


def test_documented_fsdp_file_loads(tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.utils import FullyShardedDataParallelPlugin

    (text,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "fsdp.yaml").write_text(text)
    config = load_config_from_file(str(tmp_path / "fsdp.yaml"))
    assert str(config.distributed_type.value) == "FSDP" and config.num_processes == 2
    known = {f"fsdp_{name}" for name in vars(FullyShardedDataParallelPlugin(fsdp_version=2))} | {
        "fsdp_transformer_layer_cls_to_wrap"
    }
    assert set(yaml.safe_load(text)["fsdp_config"]) <= known | {"fsdp_version"}


def test_documented_deepspeed_file_matches_the_trainer() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    config = json.loads(text)
    filled = {"train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"}
    assert {name for name, value in config.items() if value == "auto"} == filled and config["bf16"] == {
        "enabled": "auto"
    }
