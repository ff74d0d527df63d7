"""The callback that keeps `run.json` and the card of a training up to date."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from ..run_record import RUN_FILE, run_record, write_json
from .card import write_card


class CardCallback(TrainerCallback):
    """After every evaluation and at the end: the record and the card, beside what the Trainer writes and pushes."""

    def on_evaluate(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self._write(args, state, model)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self._write(args, state, model)

    def _write(self, args: Any, state: Any, model: Any) -> None:
        if not state.is_world_process_zero or not args.output_dir:
            return
        folder = Path(args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RUN_FILE, run_record(model, args, state))
        model.config.save_pretrained(folder)
        write_card(folder, args.hub_model_id)
