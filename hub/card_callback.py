"""Keep `run.json` and the card up to date during a training."""

import time
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, TrainerCallback, TrainerState

from ..checkpoint.run_record import RUN_FILE, run_record, write_json
from .card import write_card


class CardCallback(TrainerCallback):
    """Write record and card after every evaluation of a training, and at its end.

    Evaluations before and after the training may be of any dataset: they are not part of
    its history.
    """

    def __init__(self) -> None:
        self.started: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.started = time.perf_counter()

    def on_evaluate(
        self, args: Any, state: Any, control: Any, model: PreTrainedModel | None = None, **kwargs: Any
    ) -> None:
        self._write(args, state, model)

    def on_train_end(
        self, args: Any, state: Any, control: Any, model: PreTrainedModel | None = None, **kwargs: Any
    ) -> None:
        self._write(args, state, model)
        self.started = None

    def _write(self, args: Any, state: TrainerState, model: PreTrainedModel | None) -> None:
        if model is None or self.started is None or not state.is_world_process_zero or not args.output_dir:
            return
        seconds = {"train": round(time.perf_counter() - self.started, 1)}
        self.write(args, state, model, seconds=seconds)

    def write(self, args: Any, state: TrainerState, model: PreTrainedModel, **facts: Any) -> None:
        """Write record and card of a model into the output folder.

        Args:
            args: The training arguments.
            state: The state after its training.
            model: The model.
            facts: Further entries of the record.
        """
        folder = Path(args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RUN_FILE, run_record(model, args, state, **facts))
        model.config.save_pretrained(folder)
        write_card(folder, args.hub_model_id)
