"""Resume a training with adapters from the adapters of its checkpoints."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Trainer

from ..checkpoint.adapters import ADAPTER_WEIGHTS, learnt_state
from .lora import has_adapters, load_trained_state


class AdapterCheckpoints(Trainer):
    """A trainer that saves the adapters beside the merged weights of each checkpoint.

    The merged weights are a complete model; training resumes from the adapters.
    """

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        model = self.accelerator.unwrap_model(self.model)
        if self.args.should_save and has_adapters(model):
            save_file(learnt_state(model), Path(output_dir or str(self.args.output_dir), ADAPTER_WEIGHTS))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if not self._load_adapters(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        if not self._load_adapters(str(self.state.best_model_checkpoint)):
            super()._load_best_model()

    def _load_adapters(self, checkpoint: str) -> bool:
        """Load the adapters of a checkpoint; return False if the model has none."""
        model = self.accelerator.unwrap_model(self.model)
        if not has_adapters(model):
            return False
        load_trained_state(model, load_file(Path(checkpoint, ADAPTER_WEIGHTS)), checkpoint)
        return True
