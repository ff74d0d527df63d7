"""Train the first stage of two-stage systems: write answers, before the emotions."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import Trainer, TrainingArguments
from transformers.utils import logging

from ...constants import NO_LABEL
from ...errors import EmoNetError
from ...layers.padding import pad_rows
from ...prompted.modeling import PromptedEmoNet
from .tasks import TaskSettings, speaker_examples

logger = logging.get_logger(__name__)


class AnswerModel(nn.Module):
    """The language model of a prompted model, with a loss on answer tokens.

    Args:
        model: A model with adapters. The first stage trains them, the second continues
            with them.
    """

    def __init__(self, model: PromptedEmoNet):
        super().__init__()
        self.transformer = model.adapted
        self.head = model.language_model.get_output_embeddings()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Mean cross entropy of the answer tokens.

        Args:
            input_ids: (B, L), prompt and answer, padded on the right.
            labels: (B, L), the answer tokens, -100 elsewhere.
        """
        # No attention mask: in a causal model no token sees the padding on its right.
        hidden = self.transformer(input_ids=input_ids, use_cache=False).last_hidden_state
        is_answer = labels[:, 1:] != NO_LABEL
        # The vocabulary is large: compute logits only at answer tokens.
        logits = self.head(hidden[:, :-1][is_answer]).float()
        return {"loss": functional.cross_entropy(logits, labels[:, 1:][is_answer])}


def learn_first_stage(
    model: PromptedEmoNet,
    dialogues: Sequence[Mapping[str, Any]],
    tasks: TaskSettings,
    arguments: TrainingArguments,
    progress: bool = False,
) -> dict[str, Any] | None:
    """Train the first stage of `tasks`, if there is one.

    Args:
        model: A model with adapters.
        dialogues: Training dialogues (rows of the `dialogues` view).
        tasks: Names the first stage and its settings.
        arguments: Arguments of the stage that follows; both share learning rate, warm-up
            and device.
        progress: Show progress bars.

    Returns:
        Facts for the run's record (`task`, `annotator`, `examples`, `losses` by epoch),
        or None without a first stage.
    """
    if not tasks.first_stage or not tasks.first_stage_epochs:
        return None
    facts: dict[str, Any] = {"task": tasks.first_stage}
    if tasks.characteristics:
        from ...speakers.biographies.annotator import Annotator
        from .characteristics import CharacteristicWriter

        annotator = Annotator(tasks.annotator)
        examples = CharacteristicWriter(annotator, model.prompts, tasks.characteristics).examples(
            dialogues, progress
        )
        facts |= {"annotator": annotator.name, "annotations": len(examples), "written_now": annotator.written}
    else:
        examples = speaker_examples(model.prompts, dialogues)
    kept = (
        "output_dir",
        "learning_rate",
        "warmup_steps",
        "weight_decay",
        "max_grad_norm",
        "lr_scheduler_type",
        "seed",
    )
    training = {name: getattr(arguments, name) for name in (*kept, "use_cpu", "bf16", "fp16", "disable_tqdm")}
    training |= {
        "num_train_epochs": tasks.first_stage_epochs,
        "per_device_train_batch_size": tasks.first_stage_batch_size,
    }
    return facts | learn_answers(model, examples, **training)


def answer_rows(
    tokenizer: Any, examples: Sequence[tuple[str, str]], max_tokens: int
) -> list[dict[str, list[int]]]:
    """Tokenize prompts and answers into rows of `input_ids` and `labels`.

    An answer ends with the end-of-turn token. Examples longer than `max_tokens` are
    dropped with a warning that counts them.
    """
    rows = []
    for prompt, answer in examples:
        prompt_ids = tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]
        answer_ids = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        if len(prompt_ids) + len(answer_ids) <= max_tokens:
            labels = [NO_LABEL] * len(prompt_ids) + answer_ids
            rows.append({"input_ids": prompt_ids + answer_ids, "labels": labels})
    if len(rows) < len(examples):
        dropped = len(examples) - len(rows)
        logger.warning(
            f"Stage 1: {dropped} of {len(examples)} examples are over {max_tokens} tokens and left out."
        )
    if not rows:
        raise EmoNetError("Stage 1 has nothing to learn: no example fits, or no training dialogue gives one.")
    return rows


def learn_answers(
    model: PromptedEmoNet, examples: Sequence[tuple[str, str]], **training: Any
) -> dict[str, Any]:
    """Train the adapters of a prompted model to write answers.

    Args:
        model: A model with adapters.
        examples: Pairs of a prompt (up to the answer) and an answer.
        training: `TrainingArguments` fields.

    Returns:
        `examples`, `answer_tokens`, and the `losses` by epoch.
    """
    rows = answer_rows(model.tokenizer, examples, model.prompts.max_tokens)
    defaults = {
        "save_strategy": "no",
        "logging_strategy": "epoch",
        "report_to": "none",
        "dataloader_pin_memory": False,
    }
    arguments = TrainingArguments(**{**defaults, "remove_unused_columns": False, **training})
    trainer = Trainer(
        model=AnswerModel(model),
        args=arguments,
        train_dataset=rows,
        data_collator=lambda batch: _collate(batch, model.tokenizer.pad_token_id),
    )
    trainer.train()
    losses = [round(row["loss"], 4) for row in trainer.state.log_history if "loss" in row]
    answered = sum(token != NO_LABEL for row in rows for token in row["labels"])
    return {"examples": len(rows), "answer_tokens": answered, "losses": losses}


def _collate(rows: Sequence[Mapping[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    length = max(len(row["input_ids"]) for row in rows)
    return {
        "input_ids": pad_rows([row["input_ids"] for row in rows], length, pad),
        "labels": pad_rows([row["labels"] for row in rows], length, NO_LABEL),
    }
