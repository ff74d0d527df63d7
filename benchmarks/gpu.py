"""Measure and train what needs a GPU, in steps that fit into the minutes at hand.

`python -m emonet.benchmarks.gpu FOLDER --minutes 9` does the steps of `STEPS` in order of
worth. Each measures its first seconds and then does as much as fits into its share of the
time. What is done is kept in FOLDER, so that the same command goes on where it ended.
Figures are in `FOLDER/gpu.json`. Without a GPU, `--tiny` tries the job on small models.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, RobertaConfig, RobertaModel

from ..backbones.embedded import resolve_backbone
from ..checkpoint.run_record import versions, write_json
from ..runs.train import train_run
from ..studies.report import write_study_report
from ..studies.runner import run_study
from ..studies.study import read_study
from ..training.arguments import EmoNetTrainingArguments
from .published_loop import PublishedLoop
from .workload import dialogues_of, encoded, tokens_of, write_workload

RESULT_FILE = "gpu.json"
_LARGE: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
_TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


@dataclass(frozen=True)
class Job:
    """What the steps share.

    Args:
        folder: Folder of the results.
        dataset: Name of a corpus, or a file or folder.
        study: A study file, or a study of the package.
        encoder: The backbone of the study.
        language_model: The backbone of the prompted preset.
        device: Where to compute.
        tiny: Whether to compute small shapes.
    """

    folder: Path
    dataset: str
    study: str
    encoder: str
    language_model: str
    device: torch.device
    tiny: bool


def training_speed(job: Job, seconds: float) -> dict[str, Any]:
    """Time training steps of a RoBERTa-large-shaped EmoNet, packed, in bfloat16.

    Beside it: its backbone alone, its compiled form, and the published loop over single
    turns. The share of the peak is that of a matrix product measured in the same run;
    6 operations a parameter and token, without attention's own products.
    """
    folder = job.folder / "training-speed"
    folder.mkdir(parents=True, exist_ok=True)
    facts = write_workload(job.dataset, None, 4 if job.tiny else 64, folder)
    backbone = _random_backbone(folder / "backbone", job.encoder, _TINY if job.tiny else _LARGE)
    model, corpus = encoded(folder, backbone, "context")
    model.to(job.device).train()
    examples = corpus["train"].examples
    batches = [
        {name: tensor.to(job.device) for name, tensor in corpus.collator(examples[first : first + 8]).items()}
        for first in range(0, len(examples), 8)
    ]
    parameters = sum(
        weight.numel() for name, weight in model.emonet.encoder.named_parameters() if "embeddings" not in name
    )

    def bare(batch: dict[str, Any]) -> torch.Tensor:
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        states: torch.Tensor = model.emonet.encoder(**inputs).last_hidden_state
        return states.float().square().mean()

    compiled: Any = torch.compile(model, dynamic=True)
    cases: dict[str, Callable[[dict[str, Any]], torch.Tensor]] = {
        "emonet": lambda batch: model(**batch).loss,
        "bare_backbone": bare,
        "emonet_compiled": lambda batch: compiled(**batch).loss,
    }
    peak = product_rate(job.device, 256 if job.tiny else 8192)
    figures: dict[str, Any] = {"published_loop": _published(backbone, folder, seconds / 4, job.device)}
    for name, loss in cases.items():  # the compiled form last: compiling may take long
        timed = _timed_steps(model, loss, batches, seconds / 4, job.device)
        rate = timed["tokens"] / timed["seconds"]
        figures[name] = {**timed, "tokens_per_second": rate, "share_of_peak": 6 * parameters * rate / peak}
    return {"workload": facts, "parameters": parameters, "peak": peak, "cases": figures}


def thesis_table(job: Job, seconds: float) -> dict[str, Any]:
    """Run as many cells of a fine-tuned study as fit, and write the report."""
    study, folder = replace(read_study(job.study), backbone=job.encoder), job.folder / "study"
    cells, failures, longest = [cell.path for cell in study.cells()], dict[str, str](), 0.0
    started = time.perf_counter()
    for path in cells:
        if time.perf_counter() - started + longest > seconds:
            break
        before = time.perf_counter()
        failures |= run_study(study, folder, only=[path], progress=False)
        longest = max(longest, time.perf_counter() - before)
    tables = write_study_report(study, folder)
    finished = sum(len(row.cells) for table in tables for row in table.rows.values())
    return {"cells": len(cells), "finished": finished, "longest_cell": longest, "failures": failures}


def prompted(job: Job, seconds: float) -> dict[str, Any]:
    """Train the prompted preset for as many steps as fit, and score validation."""
    first = 1 if job.tiny else 8
    timed = _train_prompted(job, first)
    # Half of the rest, because the first steps' time has the scoring of validation in it.
    steps = max(first, int(0.5 * (seconds - timed["seconds"]) / timed["seconds"] * first))
    return {"first": timed, **_train_prompted(job, steps)}


STEPS: dict[str, tuple[Callable[[Job, float], dict[str, Any]], float]] = {
    "training_speed": (training_speed, 0.2),  # with its share of the time
    "thesis_table": (thesis_table, 0.45),
    "prompted": (prompted, 0.35),
}


def run(job: Job, minutes: float) -> dict[str, Any]:
    """Do the steps, and write the figures after each.

    Returns:
        The content of `gpu.json`: `device`, `versions`, and the figures of each step.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    file = job.folder / RESULT_FILE
    name = torch.cuda.get_device_name() if job.device.type == "cuda" else job.device.type
    record: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    if record.get("device", name) != name:
        raise SystemExit(f"{file} is of {record['device']}, and this is {name}: name another folder.")
    record = {"device": name, "versions": versions(), "steps": record.get("steps", {})}
    end, left = time.monotonic() + 60 * minutes, 1.0
    for step, (function, share) in STEPS.items():
        remaining = end - time.monotonic()
        seconds, left = remaining * share / left, left - share
        if not is_done(step, record["steps"].get(step)) and remaining > 0:
            started = time.monotonic()
            try:
                figures = function(job, seconds)
            except Exception as error:  # the other steps go on
                figures = {"error": repr(error)}
            record["steps"][step] = {**figures, "seconds_of_step": time.monotonic() - started}
            write_json(file, record)
    return record


def is_done(step: str, figures: dict[str, Any] | None) -> bool:
    """Whether a step has nothing left to do: its study may have unfinished cells."""
    if figures is None or "error" in figures:
        return False
    return step != "thesis_table" or bool(figures["finished"] == figures["cells"])


def product_rate(device: torch.device, size: int) -> float:
    """Operations a second of a bfloat16 matrix product, the median of nine."""
    left = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    times = []
    for _ in range(10):
        _synchronize(device)
        started = time.perf_counter()
        left @ left
        _synchronize(device)
        times.append(time.perf_counter() - started)
    return 2 * size**3 / sorted(times[1:])[4]


def _random_backbone(folder: Path, encoder: str, shape: dict[str, Any]) -> str:
    """Write an encoder of a shape; its weights matter for no figure."""
    tokenizer = AutoTokenizer.from_pretrained(resolve_backbone(encoder))
    config = RobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=514, pad_token_id=tokenizer.pad_token_id, **shape
    )
    RobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _timed_steps(
    model: torch.nn.Module,
    loss_of: Callable[[Any], torch.Tensor],
    batches: list[Any],
    seconds: float,
    device: torch.device,
) -> dict[str, Any]:
    """Train in bfloat16 for some seconds, not counting the first round of batches."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=device.type == "cuda")
    times, tokens = [], 0
    started = time.perf_counter()
    for index, batch in enumerate(_rounds(batches)):
        _synchronize(device)
        before = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        _synchronize(device)
        if index >= len(batches):
            times.append(time.perf_counter() - before)
            tokens += tokens_of([batch])
        if times and time.perf_counter() - started > seconds:
            break
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    return {"steps": len(times), "seconds": sum(times), "tokens": tokens, "memory": memory}


def _rounds(batches: list[Any]) -> Iterator[Any]:
    while True:
        yield from batches


def _published(backbone: str, folder: Path, seconds: float, device: torch.device) -> dict[str, Any]:
    """Turns a second of the published loop, on the first dialogues that fit."""
    dialogues = dialogues_of(folder)
    labels = sorted({turn["emotion"] for turns in dialogues for turn in turns})
    loop = PublishedLoop(backbone, len(labels), device)
    loop.train(dialogues[:1], labels)
    turns, started = 0, time.perf_counter()
    for dialogue in dialogues[1:]:
        turns += loop.train([dialogue], labels)
        _synchronize(device)
        if time.perf_counter() - started > seconds:
            break
    return {"turns": turns, "seconds": time.perf_counter() - started}


def _train_prompted(job: Job, steps: int) -> dict[str, Any]:
    started = time.perf_counter()
    bf16 = job.device.type == "cuda"
    record = train_run(
        job.dataset,
        job.folder / "prompted",
        preset="emonet-lm-prompted",
        backbone=job.language_model,
        training_overrides={"max_steps": steps, "bf16": bf16, "save_strategy": "no"},
        progress=False,
    )
    return {"steps": steps, "seconds": time.perf_counter() - started, "epochs": record["epochs"]}


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Read the command line and run the job."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--dataset", default="emorynlp")
    parser.add_argument("--study", default="emorynlp_finetuned")
    parser.add_argument("--encoder", default="minilm", help="backbone of the study: a name or a folder")
    parser.add_argument("--language-model", default="smollm2", help="backbone of the prompted preset")
    parser.add_argument("--tiny", action="store_true", help="small shapes, for a try on a CPU")
    given = parser.parse_args()
    device = EmoNetTrainingArguments(output_dir=str(given.folder)).device
    if device.type != "cuda" and not given.tiny:
        parser.error("no GPU is found; --tiny tries the job on small models")
    job = Job(
        given.folder, given.dataset, given.study, given.encoder, given.language_model, device, given.tiny
    )
    print(json.dumps(run(job, given.minutes), indent=1))


if __name__ == "__main__":
    main()
