"""Take a training run of any family through its steps: prepare, fit, score, write."""

import shutil
import time
from collections.abc import Callable
from typing import Any

from transformers import set_seed

from ..adapters.lora import has_adapters, save_adapter
from ..checkpoint.resuming import last_whole_checkpoint, mean_loss
from ..checkpoint.run_record import RUN_FILE, run_record, write_json
from ..data.imported import hub_id_of
from ..dialogue.names import speaker_kinds
from ..evaluation.report import write_predictions, write_run_report
from ..evaluation.scoring import score_dialogues, temperature_of
from ..files.disk import room_on_disk
from ..hub.card import write_card
from .families import PreparedRun, ScoredSplit
from .options import TrainOptions


def run_training(
    options: TrainOptions,
    prepare: Callable[[TrainOptions], PreparedRun],
) -> tuple[PreparedRun, dict[str, Any]]:
    """Train a model and write its run folder.

    Args:
        options: The options of the run.
        prepare: The family's first step.

    Returns:
        The run with its finished model, and the content of `run.json`.
    """
    started = time.perf_counter()
    set_seed(options.seed)
    run = prepare(options)
    prepared = time.perf_counter()
    fit(run)
    trained = time.perf_counter()
    record = record_of(run, prepare=round(prepared - started, 1), train=round(trained - prepared, 1))
    if run.trainer.is_world_process_zero():
        write(run, run.score(), record)
    run.trainer.accelerator.end_training()
    return run, record


def fit(run: PreparedRun) -> None:
    """Train, or resume training, then fit what follows it (`run.adjust`)."""
    run.train(last_whole_checkpoint(run.options.checkpoints) if run.options.resume else None)
    run.facts |= run.adjust()


def record_of(run: PreparedRun, **seconds: float) -> dict[str, Any]:
    """Make the content of `run.json`; `seconds` are the durations of the steps."""
    state, dataset_id = run.trainer.state, hub_id_of(run.options.dataset)
    return run_record(
        run.model,
        run.trainer.args,
        state,
        **run.settings,
        train_loss=mean_loss(state.log_history),
        seconds=seconds,
        training_turns=run.training_turns,
        speakers=speaker_kinds((), run.options.speakers or "auto").record,
        **({"dataset_id": dataset_id} if dataset_id else {}),
        **({"trained_by": run.trainer.trained_by} if run.trainer.trained_by else {}),
        **run.facts,
    )


def write(run: PreparedRun, scored: ScoredSplit, record: dict[str, Any]) -> None:
    """Write the run folder: checkpoint, record, and the report on validation."""
    output, args = run.options.output_dir, run.trainer.args
    # Without autocast, as it will be loaded: the card's example is predicted on saving.
    model = run.trainer.accelerator.unwrap_model(run.model, keep_fp32_wrapper=False)
    if run.options.calibrate:
        model.config.calibration_temperature = temperature_of(scored.logits, scored.labels)
    with room_on_disk(output, "run the same command again with --resume"):
        model.save_pretrained(output, merge=run.options.merge_backbone or None)
        if has_adapters(model):
            save_adapter(model, output / "adapter", record)
    metrics, rows = score_dialogues(model.processor, scored.dialogues, scored.labels, scored.logits)
    metrics["dataset_version"] = model.config.dataset_version
    history = run.trainer.state.log_history
    write_run_report(
        output,
        metrics,
        model.config.label_names,
        history=history,
        split="validation",
        first=args.metric_for_best_model or "",
    )
    write_predictions(output / "predictions.jsonl", rows)
    write_json(output / RUN_FILE, record)
    write_card(output)
    if args.saves_nothing:
        shutil.rmtree(run.options.checkpoints, ignore_errors=True)
