"""Train the first stage of two-stage systems: write answers, before the emotions."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Sampler
from transformers import Trainer, TrainingArguments
from transformers.utils import logging

from ...constants import NO_LABEL
from ...errors import EmoNetError
from ...prompted.modeling import PromptedEmoNet
from ...prompted.packing import tree_attention, tree_mask
from .batches import AnswerCollator, AnswerExample, DialogueSampler
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

    def forward(
        self,
        input_ids: torch.Tensor,
        labels: torch.Tensor,
        read_index: torch.Tensor,
        position_ids: torch.Tensor | None = None,
        subtree_ends: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Mean cross entropy of the answer tokens; see [`AnswerCollator`] for the batch.

        Args:
            input_ids: Packed rows (R, L), or prompts with their answers (B, L).
            labels: The answer tokens (A,).
            read_index: Index of the token before each, in the flattened rows (A,).
            position_ids: Of packed rows (R, L).
            subtree_ends: Of packed rows (R, L).
        """
        packed: dict[str, Any] = {}
        if subtree_ends is not None:
            mask = tree_mask(subtree_ends, self.transformer.dtype)
            packed = {"attention_mask": mask, "position_ids": position_ids}
        with tree_attention(self.transformer):
            hidden = self.transformer(input_ids=input_ids, use_cache=False, **packed).last_hidden_state
        # The vocabulary is large: compute logits only at answer tokens.
        logits = self.head(hidden.flatten(0, 1)[read_index]).float()
        return {"loss": functional.cross_entropy(logits, labels)}


class AnswerTrainer(Trainer):
    """Trains an [`AnswerModel`] on examples that it packs dialogue by dialogue."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        groups = [row["dialogue"] for row in rows]
        return DialogueSampler(groups, self.args.train_batch_size, self.args.seed)


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
        Facts for the run's record (`task`, `annotator`, `flaws` of its answers,
        `examples`, `losses` by epoch), or None without a first stage.
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
        facts |= {
            "annotator": annotator.name,
            "annotations": annotator.writer.record["answers"],
            "flaws": annotator.writer.record["flaws"],
            "written_now": annotator.written,
        }
        annotator.writer.warn_of_flaws()
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


def answer_rows(tokenizer: Any, examples: Sequence[AnswerExample], max_tokens: int) -> list[dict[str, Any]]:
    """Tokenize examples into rows of `input_ids`, `labels` and `dialogue`.

    An answer ends with the end-of-turn token. Examples longer than `max_tokens` are
    dropped with a warning that counts them.
    """
    rows = []
    for prompt, answer, dialogue in examples:
        prompt_ids = tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]
        answer_ids = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        if len(prompt_ids) + len(answer_ids) <= max_tokens:
            labels = [NO_LABEL] * len(prompt_ids) + answer_ids
            rows.append({"input_ids": prompt_ids + answer_ids, "labels": labels, "dialogue": dialogue})
    if len(rows) < len(examples):
        dropped = len(examples) - len(rows)
        logger.warning(
            f"Stage 1: {dropped} of {len(examples)} examples are over {max_tokens} tokens and left out."
        )
    if not rows:
        raise EmoNetError("Stage 1 has nothing to learn: no example fits, or no training dialogue gives one.")
    return rows


def learn_answers(
    model: PromptedEmoNet, examples: Sequence[AnswerExample], **training: Any
) -> dict[str, Any]:
    """Train the adapters of a prompted model to write answers.

    Args:
        model: A model with adapters.
        examples: Prompts and answers; those of a dialogue next to each other.
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
    trainer = AnswerTrainer(
        model=AnswerModel(model),
        args=arguments,
        train_dataset=rows,
        data_collator=AnswerCollator(model),
    )
    trainer.train()
    losses = [round(row["loss"], 4) for row in trainer.state.log_history if "loss" in row]
    answered = sum(token != NO_LABEL for row in rows for token in row["labels"])
    return {"examples": len(rows), "answer_tokens": answered, "losses": losses}
