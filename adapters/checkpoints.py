"""Checkpoints of a training with adapters, which resume from the adapters alone."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import Trainer

from .lora import ADAPTER_WEIGHTS, has_adapters, load_trained_state, trained_state


class AdapterCheckpoints(Trainer):
    """Keeps the adapters beside the merged weights of every checkpoint: the weights are a
    whole model, training goes on from the adapters."""

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        super()._save(output_dir, state_dict)
        model = self.accelerator.unwrap_model(self.model)
        if self.args.should_save and has_adapters(model):
            save_file(trained_state(model), Path(output_dir or str(self.args.output_dir), ADAPTER_WEIGHTS))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self._put_back(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        if not self._put_back(str(self.state.best_model_checkpoint)):
            super()._load_best_model()

    def _put_back(self, checkpoint: str) -> bool:
        model = self.accelerator.unwrap_model(self.model)
        if not has_adapters(model):
            return False
        load_trained_state(model, load_file(Path(checkpoint, ADAPTER_WEIGHTS)), checkpoint)
        return True
