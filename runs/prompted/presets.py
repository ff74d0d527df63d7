"""Presets of the prompted read-out: what a prompt holds and how the model that answers it
is trained.

The systems of the field that are language models stand here on emonet's machinery. What
they share, against their papers: any causal language model in place of LLaMA 2; quoted
prompts in chat form, in which an utterance can't pass for an instruction; the speakers'
names in place of a number for every dialogue; the answer scored over the label words, not
parsed from free text; the
best epoch (BiosERC: the best of evaluations every 50 steps) kept by validation; the
gradient's batch smaller than on four GPUs; prompts as long as the model can read, not
1,024 tokens; float32, or bfloat16 where it is asked for.

- **instructerc** (Lei et al. 2023, InstructERC, arXiv 2309.11911): twelve earlier turns,
  the label statement, and the most similar training turn as demonstration; stage 1 tells
  who spoke an utterance, stage 2 the emotion, with α = 0.1 of the emotion-impact task.
  Against the paper: the answer of stage 1 is one of the dialogue's names, not of nine
      slots; a demonstration in training is of any label, as at evaluation, since one of
      the turn's own label tells the answer
  (`demonstrations_share_label=True` has the paper's), and never of the turn's own
  dialogue; no unified training on three corpora.
- **ckerc** (Fu et al. 2024, CKERC, arXiv 2403.07260 v1): stage 1 learns the common sense
  of the interlocutors that an instruct model wrote of the training turns; stage 2 the
  emotion. When the model is used nobody writes anything. Against the paper, as far as its
  specification is known: beside the listeners' reaction also what the speaker intends.
- **laerc-s** (Fu et al. 2025, LaERC-S, COLING; v2 of the same paper): the same with one
  characteristic, the listeners' reaction, as in its main table; `first_stage` takes any
  of its nine. Against both papers: the writer is `smollm2` by default, not a model of
  billions of parameters.
- **bioserc** (Xue et al. 2024, BiosERC, ICANN): five earlier turns and a biography of the
  speaker by an instruct model. The paper's prompts also hold the five turns that follow,
  and its biographies are written from the whole dialogue: so does the preset with
  `causal=False` alone; else a biography is written from what its speaker said in earlier
  dialogues. Against the
  paper: biographies of some 80 tokens by a small model, not 250 words by one of 70
      billion parameters; biography and turns in
  the user's message, not the system's; weights in full precision, no packing; its form on
  RoBERTa is not here.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import EmoNetError
from ...prompted.configuration import PromptSettings, prompt_settings
from .tasks import TaskSettings

# What `train_prompted` takes and no packed model does.
PROMPTED_TRAINING = ("own_share", *TaskSettings.__dataclass_fields__)


@dataclass(frozen=True)
class PromptedPreset:
    """A named form of prompt with its training.

    Attributes:
        settings: What a prompt holds. training: What `train_prompted` takes besides
            (`own_share`, `class_weighting`, fields of `TaskSettings` and
            `EmoNetTrainingArguments`, `lora_rank` and the others of `LoraSettings` behind
            `lora_`).
        summary / paper: For the list of presets.
        non_causal: What of the settings is another where `causal=False` is asked for;
            `None` where there is no such form.
    """

    settings: PromptSettings
    training: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    paper: str = ""
    non_causal: dict[str, Any] | None = None

    def prompts(self, causal: bool = True, **changes: Any) -> PromptSettings:
        """What its prompts hold, with some settings changed.

        Raises:
            EmoNetError: for `causal=False` where it has no such form.
        """
        if not causal and self.non_causal is None:
            raise EmoNetError("This preset has no form that sees later turns: leave causal=True.")
        return replace(self.settings, **{**({} if causal else self.non_causal or {}), **changes})


# LoRA of rank 16 on queries, keys and values, at 2e-4, as InstructERC has it and those
# after it.
_FIELD: dict[str, Any] = {
    "lora_rank": 16,
    "lora_target_modules": "q_proj,k_proj,v_proj",
    "learning_rate": 2e-4,
    "num_train_epochs": 6,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 2,
    "warmup_steps": 0.1,
    "class_weighting": "none",
    "own_share": 0.0,
    "save_strategy": "no",
}

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
    "instructerc": PromptedPreset(
        PromptSettings(window=12, label_statement=True, demonstrations=1),
        {**_FIELD, "first_stage": "speakers", "impact_weight": 0.1},
        "InstructERC: label statement, a demonstration from the training turns, speaker and emotion-impact tasks",
        "Lei et al. 2023, InstructERC (arXiv 2309.11911)",
    ),
    "ckerc": PromptedPreset(
        PromptSettings(window=12, label_statement=True),
        {**_FIELD, "first_stage": "oReact,xIntent"},
        "CKERC: learns first how listeners react and what the speaker intends, as an instruct model wrote it",
        "Fu et al. 2024, CKERC (arXiv 2403.07260 v1)",
    ),
    "laerc-s": PromptedPreset(
        PromptSettings(window=12, label_statement=True),
        {**_FIELD, "first_stage": "oReact"},
        "LaERC-S: learns first one characteristic of the speaker or the listeners, as an instruct model wrote it",
        "Fu et al. 2025, LaERC-S (COLING)",
    ),
    "bioserc": PromptedPreset(
        PromptSettings(window=5, biography=True, biography_writer="smollm2"),
        {
            "lora_rank": 32,
            "lora_alpha": 128,
            "learning_rate": 3e-4,
            "lr_scheduler_type": "linear",
            "warmup_steps": 0.03,
            "num_train_epochs": 3,
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 4,
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
    """A preset's prompts, with other settings where `overrides` has them; `causal=False`
    is the form that sees later turns.
    """
    changes = dict(overrides or {})
    causal = changes.pop("causal", True)
    prompt_settings(changes)  # names the unknown
    return PROMPTED_PRESETS[preset].prompts(causal, **changes)
