"""Stage 1 of systems that learn in two: the language model learns to write answers before
it learns the emotions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import Trainer, TrainingArguments
from transformers.utils import logging

from ...errors import EmoNetError
from ...processing_emonet import NO_LABEL, pad_rows
from .tasks import TaskSettings, speaker_examples

logger = logging.get_logger(__name__)


class AnswerModel(nn.Module):
    """The language model of a prompted read-out, which learns the tokens of answers.

    Args:
        model: A [`PromptedEmoNet`] with adapters; they are what is trained, and stage 2
            goes on with them.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.transformer, self.head = model.adapted, model.language_model.get_output_embeddings()

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """The mean cross entropy of answer tokens.

        Args:
            input_ids: (B, L), prompt and answer, padded on the right. labels: (B, L),
                -100 but on the answers' tokens.
        """
        # In a causal model nothing looks at the padding behind it.
        hidden = self.transformer(input_ids=input_ids, use_cache=False).last_hidden_state
        wanted = labels[:, 1:] != NO_LABEL
        # The vocabulary is wide: it is computed where an answer is read and nowhere else.
        logits = self.head(hidden[:, :-1][wanted]).float()
        return {"loss": functional.cross_entropy(logits, labels[:, 1:][wanted])}


def learn_first_stage(
    model: Any,
    dialogues: Sequence[Mapping[str, Any]],
    tasks: TaskSettings,
    arguments: Any,
    progress: bool = False,
) -> dict[str, Any] | None:
    """Train a prompted model for the first stage of `tasks`; None where there is none.

    Args:
        dialogues: Training dialogues (rows of the `dialogues` view). arguments:
            `TrainingArguments` of the stage that follows, whose learning rate, warm-up
            and device are this one's too.

    Returns:
        What was learnt, for the run's record: `task`, `annotator`, `examples`, `losses`
        by epoch.
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
    """Prompts and answers → `input_ids` and `labels`; an answer ends with the end of a
    turn.

    One that is over `max_tokens` is left out, with a warning that counts them.
    """
    rows = []
    for prompt, answer in examples:
        asked = tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]
        told = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        if len(asked) + len(told) <= max_tokens:
            rows.append({"input_ids": asked + told, "labels": [NO_LABEL] * len(asked) + told})
    if len(rows) < len(examples):
        left_out = len(examples) - len(rows)
        logger.warning(
            f"Stage 1: {left_out} of {len(examples)} examples are over {max_tokens} tokens and left out."
        )
    if not rows:
        raise EmoNetError("Stage 1 has nothing to learn: no example fits, or no training dialogue gives one.")
    return rows


def learn_answers(model: Any, examples: Sequence[tuple[str, str]], **training: Any) -> dict[str, Any]:
    """Train the adapters of a prompted model to write answers.

    Args:
        examples: Prompts, up to where an answer begins, and answers. training:
            `TrainingArguments` fields.

    Returns:
        `examples`, `tokens` of answers, and the `losses` by epoch.
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
        train_dataset=rows,  # type: ignore[arg-type]
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
