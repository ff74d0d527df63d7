"""The Trainer of prompted models: prompts of a corpus, the weighted loss, trajectories of
its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm.auto import tqdm
from transformers import TrainerCallback

from ...dialogue.names import identity
from ...dialogue.turns import clean_text
from ...evaluation.metrics import emotion_metrics
from ...hub.card_callback import CardCallback
from ...layers.heads import weighted_cross_entropy
from ...processing_emonet import NO_LABEL, pad_rows
from ...prompted.modeling import PromptedEmoNet
from ...prompted.prefix_reader import PrefixReader
from ...prompted.prompts import LabelledTurn
from ...speakers.biographies.choose import Biographer
from ...speakers.biographies.extractive import dialogue_view
from ...train_trainer import EmoNetTrainer
from .tasks import TaskSettings, impact_prompt
from .trajectory import EmotionRecord


class PromptedSplit(Dataset):
    """A split's turns as prompts, each written when it is asked for, since trajectories
    change in training.

    Args:
        dialogues: Rows of the `dialogues` view, with `speaker_history_index`. record: The
            corpus's emotions.
        biographer: Writes a speaker's biography as far as a view reaches; `None` for
            none.
        tasks: What training adds to a turn: the prompt of the emotion-impact task,
            demonstrations by label.
    """

    def __init__(
        self, name: str, dialogues: Sequence[Mapping[str, Any]], model: PromptedEmoNet, record: EmotionRecord,
        biographer: Biographer | None = None, tasks: TaskSettings | None = None,
    ):  # fmt: skip
        self.name, self.dialogues, self.record = name, list(dialogues), record
        self._prompts = model.prompts
        self.turns = [
            (number, place) for number, row in enumerate(self.dialogues) for place in range(len(row["turns"]))
        ]
        self.examples = [place for place, turn in enumerate(self.turns) if self.label(*turn) != NO_LABEL]
        self._biographies = [self._written(row, biographer) for row in self.dialogues]
        self._tasks = tasks or TaskSettings()
        self._demonstrations = [self._shown(number, model.processor) for number in range(len(self.dialogues))]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: int) -> dict[str, Any]:
        number, turn = self.turns[self.examples[place]]
        example = {"input_ids": self.prompt(number, turn), "labels": [self.label(number, turn)]}
        if self._tasks.impact_weight:
            example["impact_input_ids"] = impact_prompt(self._prompts, self.dialogues[number]["turns"], turn)
        return example

    def prompt(self, number: int, place: int) -> list[int]:
        """The tokens of the prompt for a dialogue's turn."""
        turns = self.dialogues[number]["turns"]
        biography = self._biographies[number].get(turns[place]["speaker"], "")
        felt = self.record.lines(turns[place], scheduled=self.name == "train")
        return self._prompts.tokens(turns, place, biography, felt, self._demonstrations[number][place])

    def label(self, number: int, place: int) -> int:
        """A turn's label, -100 for none."""
        emotion = self.dialogues[number]["turns"][place]["emotion"]
        return NO_LABEL if emotion is None or emotion < 0 else emotion

    def labels(self) -> np.ndarray:
        """(N,) the label of every turn in order, -100 where unlabelled."""
        return np.array([self.label(*turn) for turn in self.turns], dtype=np.int64)

    def by_dialogue(self, scores: np.ndarray) -> list[np.ndarray]:
        """(N, C) scores of all turns → (T, C) of each dialogue."""
        return np.split(scores, np.cumsum([len(row["turns"]) for row in self.dialogues])[:-1])

    def _written(self, row: Mapping[str, Any], biographer: Biographer | None) -> dict[str, str]:
        if biographer is None or not self._prompts.settings.biography:
            return {}
        view = dialogue_view(self.name, dict(row))
        names = dict.fromkeys(turn["speaker"] for turn in row["turns"])
        return {name: biographer(identity(clean_text(name), row["dialogue_id"]), view).text for name in names}

    def _shown(self, number: int, processor: Any) -> Sequence[Sequence[LabelledTurn]]:
        """The demonstrations of each turn of a dialogue; a training turn's are never of
        its own.
        """
        turns = self.dialogues[number]["turns"]
        if not self._prompts.settings.demonstrations:
            return [()] * len(turns)
        texts, training = [turn["text"] for turn in turns], self.name == "train"
        if training and self._tasks.demonstrations_share_label:
            gold = [self.label(number, place) for place in range(len(turns))]
            emotions = [None if label == NO_LABEL else self._prompts.labels[label] for label in gold]
            return processor.demonstrations_for(texts, self.dialogues[number]["dialogue_id"], emotions)
        return processor.demonstrations_for(
            texts, self.dialogues[number]["dialogue_id"] if training else None
        )


def predict_split(
    model: PromptedEmoNet, split: PromptedSplit, progress: bool = False
) -> tuple[np.ndarray, PrefixReader]:
    """Log-probabilities (N, C) of every turn of a split, in order of time, and the reader
    with its count of tokens.

    Each prediction is taken up before the next prompt is written: it is what later
    trajectories tell.
    """
    model.eval()
    reader = PrefixReader(model.language_model, model.tree)
    scores = []
    for number, place in tqdm(split.turns, disable=not progress, desc=split.name):
        scores.append(reader.log_probabilities(split.prompt(number, place)).float().cpu().numpy())
        split.record.predicted(
            split.dialogues[number]["turns"][place]["utterance_index"], int(scores[-1].argmax())
        )
    return np.stack(scores), reader


def split_metrics(model: PromptedEmoNet, split: PromptedSplit, scores: np.ndarray) -> dict[str, Any]:
    """`emotion_metrics` of a split, with its weighted `loss`."""
    gold = split.labels()
    total, weight = weighted_cross_entropy(
        torch.from_numpy(scores), torch.from_numpy(gold), model.config.class_weights
    )
    return {"loss": float(total / weight), **emotion_metrics(gold, scores.argmax(-1), model.labels)}


class PromptedTrainer(EmoNetTrainer):
    """`EmoNetTrainer` over prompts; it evaluates turn by turn, as the model is used."""

    required_keys = ("input_ids", "labels")

    def __init__(self, impact_weight: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.impact_weight = impact_weight
        self.remove_callback(CardCallback)  # record and card are written with the finished run

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The weighted cross entropy of the emotions, and α times that of the same
        emotions without the turn itself.
        """
        prefix = "impact_"
        main = {name: value for name, value in inputs.items() if not name.startswith(prefix)}
        impact = {
            name.removeprefix(prefix): value for name, value in inputs.items() if name.startswith(prefix)
        }
        loss, outputs = super().compute_loss(model, main, True, num_items_in_batch)
        if impact:
            impact["labels"] = main["labels"]
            loss = loss + self.impact_weight * super().compute_loss(model, impact, False, num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        model: Any = self.accelerator.unwrap_model(self.model)
        split = self.eval_dataset if eval_dataset is None else eval_dataset
        metrics = split_metrics(model, split, predict_split(model, split)[0])  # type: ignore[arg-type]
        figures = {
            f"{metric_key_prefix}_{name}": value
            for name, value in metrics.items()
            if isinstance(value, float)
        }
        self.log(figures)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)
        return figures


class OwnTrajectories(TrainerCallback):
    """From the second epoch on, a growing share of training turns is told with the
    model's own predictions, up to `share`.
    """

    def __init__(self, model: PromptedEmoNet, split: PromptedSplit, share: float):
        self.model, self.split, self.share = model, split, share

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        epoch = round(state.epoch or 0)
        if epoch == 0 or not self.share:
            return
        predict_split(self.model, self.split)
        self.split.record.own_share = self.share * min(1.0, epoch / max(1.0, args.num_train_epochs - 1))
        self.split.record.seed = epoch
        self.model.train()


def collate(examples: Sequence[Mapping[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """Prompts → (B, L) tokens and mask, padded on the right, and (B, 1) labels;
    `impact_…` are those of that task.
    """
    batch = {"labels": torch.tensor([example["labels"] for example in examples])}
    for prefix in ("", "impact_"):
        rows = [example[f"{prefix}input_ids"] for example in examples if f"{prefix}input_ids" in example]
        if rows:
            length = max(map(len, rows))
            batch[f"{prefix}input_ids"] = pad_rows(rows, length, pad)
            batch[f"{prefix}attention_mask"] = pad_rows([[1] * len(row) for row in rows], length, 0)
    return batch
