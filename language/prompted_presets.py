"""Presets of the prompted read-out: what a prompt holds and how the model that answers it is trained."""

from dataclasses import dataclass, field
from typing import Any

from ..configuration_prompted import PromptSettings


@dataclass(frozen=True)
class PromptedPreset:
    """A named form of prompt with its training.

    Attributes:
        settings: What a prompt holds. training: What `train_prompted` takes besides (`own_share`, `class_weighting`,
            `EmoNetTrainingArguments` fields, `lora_rank` and the other fields of `LoraSettings` behind `lora_`).
        summary / paper: For the list of presets.
    """

    settings: PromptSettings
    training: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    paper: str = ""


PROMPTED_PRESETS: dict[str, PromptedPreset] = {
    "emonet-lm-prompted": PromptedPreset(
        PromptSettings(window=12, trajectory=5, biography=True),
        {
            "lora_rank": 16,
            "learning_rate": 2e-4,
            "num_train_epochs": 3,
            "per_device_train_batch_size": 8,
            "warmup_steps": 0.1,
            "weight_decay": 0.01,
            "class_weighting": "inverse",
            "own_share": 0.5,
            "save_strategy": "no",
        },
        "EmoNet on a language model with LoRA: one prompt a turn, with biography and emotional trajectory",
        "EmoNet thesis; Hu et al. 2022, LoRA (ICLR)",
    ),
}
