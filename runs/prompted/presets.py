"""Presets of prompted models: the content of the prompts and the training.

The field's systems that are language models, on emonet's implementation. They all differ
from their papers in these points: any causal language model instead of LLaMA 2; quoted
prompts in chat form, so that an utterance cannot act as an instruction; the speakers'
names instead of a number in each dialogue; the answer is scored over the label words, not
parsed from free text; the best epoch on validation is kept (BiosERC: the best of
evaluations every 50 steps); smaller batches than on four GPUs, of the turns of one or two
dialogues, whose prompts are packed; prompts as long as the model can read, not 1,024
tokens. In template 2, which they have in common, a history holds at least as many earlier
turns as in the paper and less than twice as many, the label statement names the last line
in place of repeating it and the labels, and everybody in the history is introduced by
their biography. `template=1` writes the papers' order of parts; it costs several times as
much.

- **instructerc** (Lei et al. 2023, InstructERC, arXiv 2309.11911): twelve earlier turns,
  the label statement, and the most similar training turn as demonstration. Stage 1 learns
  speaker identification, stage 2 the emotion, with the emotion-impact task at α = 0.1.
  Differences from the paper: the answer of stage 1 is one of the dialogue's names, not
  one of nine slots; a demonstration in training may have any label, as at evaluation,
  because one with the turn's own label gives the answer away
  (`demonstrations_share_label=True` follows the paper), and never comes from the turn's
  own dialogue; no unified training on three corpora.
- **ckerc** (Fu et al. 2024, CKERC, arXiv 2403.07260 v1): stage 1 learns the common sense
  about the interlocutors that an instruct model wrote of the training turns, stage 2 the
  emotion. Inference needs no annotations. Difference from the paper, as far as its
  specification is known: besides the listeners' reaction also the speaker's intent.
- **laerc-s** (Fu et al. 2025, LaERC-S, COLING; v2 of the same paper): the same with one
  characteristic, the listeners' reaction, as in its main table; `first_stage` accepts any
  of its nine. Difference from both papers: the writer is `smollm2` by default, not a
  model with billions of parameters.
- **bioserc** (Xue et al. 2024, BiosERC, ICANN): five earlier turns and a biography of the
  speaker by an instruct model. The paper's prompts also hold the five turns that follow,
  and its biographies are written from the whole dialogue; so it is here with
  `causal=False`. By default a biography is written from what its speaker said in earlier
  dialogues. Differences from the paper: biographies of about 80 tokens by a small model,
  not 250 words by a model with 70 billion parameters; biography and turns in the user's
  message, not the system's; weights in full precision. Its RoBERTa variant is not
  included.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import EmoNetError
from ...prompted.configuration import PromptSettings, prompt_settings
from .tasks import TaskSettings

# Training options that `train_prompted` accepts and packed models do not.
PROMPTED_TRAINING = ("own_share", *TaskSettings.__dataclass_fields__)


@dataclass(frozen=True)
class PromptedPreset:
    """The prompt settings and the training of a preset.

    Attributes:
        settings: The content of a prompt.
        training: Training options of `train_prompted` (`own_share`, fields of
            `TaskSettings` and `EmoNetTrainingArguments`, with those of `LoraSettings`
            prefixed with `lora_`).
        summary: One line for the list of presets.
        paper: The source, for the list of presets.
        non_causal: Settings that change with `causal=False`; None if the preset has no
            non-causal form.
    """

    settings: PromptSettings
    training: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    paper: str = ""
    non_causal: dict[str, Any] | None = None

    def prompts(self, causal: bool = True, **changes: Any) -> PromptSettings:
        """The prompt settings, with `changes`.

        Raises:
            EmoNetError: If `causal=False` and the preset has no non-causal form.
        """
        if not causal and self.non_causal is None:
            raise EmoNetError("This preset has no form that sees later turns; leave causal=True.")
        return replace(self.settings, **{**({} if causal else self.non_causal or {}), **changes})


# LoRA of rank 16 on queries, keys and values with learning rate 2e-4, as in InstructERC
# and its successors.
_FIELD: dict[str, Any] = {
    "lora_rank": 16,
    "lora_target_modules": "q_proj,k_proj,v_proj",
    "learning_rate": 2e-4,
    "num_train_epochs": 6,
    "per_device_train_batch_size": 16,
    "warmup_steps": 0.1,
    "class_weighting": "none",
    "own_share": 0.0,
    "save_strategy": "no",
}

PROMPTED_PRESETS: dict[str, PromptedPreset] = {
    "emonet-lm-prompted": PromptedPreset(
        PromptSettings(window=12, trajectory=5, biography=True, template=2),
        {
            "lora_rank": 16,
            "learning_rate": 2e-4,
            "num_train_epochs": 3,
            "per_device_train_batch_size": 16,
            "warmup_steps": 0.1,
            "weight_decay": 0.01,
            "class_weighting": "inverse",
            "own_share": 0.5,
            "save_strategy": "no",
        },
        "EmoNet on a language model with LoRA: one prompt per turn, with biography and emotional trajectory",
        "EmoNet thesis; Hu et al. 2022, LoRA (ICLR)",
    ),
    "instructerc": PromptedPreset(
        PromptSettings(window=12, label_statement=True, demonstrations=1, template=2),
        {**_FIELD, "first_stage": "speakers", "impact_weight": 0.1},
        "InstructERC: label statement, a training turn as demonstration, speaker and emotion-impact tasks",
        "Lei et al. 2023, InstructERC (arXiv 2309.11911)",
    ),
    "ckerc": PromptedPreset(
        PromptSettings(window=12, label_statement=True, template=2),
        {**_FIELD, "first_stage": "oReact,xIntent"},
        "CKERC: first learns an instruct model's view of the listeners' reaction and the speaker's intent",
        "Fu et al. 2024, CKERC (arXiv 2403.07260 v1)",
    ),
    "laerc-s": PromptedPreset(
        PromptSettings(window=12, label_statement=True, template=2),
        {**_FIELD, "first_stage": "oReact"},
        "LaERC-S: first learns an instruct model's view of one speaker or listener characteristic",
        "Fu et al. 2025, LaERC-S (COLING)",
    ),
    "bioserc": PromptedPreset(
        PromptSettings(window=5, biography=True, biography_writer="smollm2", template=2),
        {
            "lora_rank": 32,
            "lora_alpha": 128,
            "learning_rate": 3e-4,
            "lr_scheduler_type": "linear",
            "warmup_steps": 0.03,
            "num_train_epochs": 3,
            "per_device_train_batch_size": 16,
            "max_grad_norm": 0.3,
            "neftune_noise_alpha": 5.0,
            "class_weighting": "none",
            "own_share": 0.0,
            "save_strategy": "no",
        },
        "BiosERC: a biography of the speaker by an instruct model",
        "Xue et al. 2024, BiosERC (ICANN)",
        non_causal={"future_window": 5, "biography_of_dialogue": True},
    ),
}


def preset_settings(preset: str, overrides: dict[str, Any] | None = None) -> PromptSettings:
    """The prompt settings of a preset, with `overrides`.

    Args:
        overrides: `PromptSettings` fields; `causal=False` selects the non-causal form.
    """
    changes = dict(overrides or {})
    causal = changes.pop("causal", True)
    prompt_settings(changes)  # raises for unknown fields
    return PROMPTED_PRESETS[preset].prompts(causal, **changes)
