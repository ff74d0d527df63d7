"""The Trainer of prompted models: prompts, weighted loss, own trajectories."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, Sampler
from tqdm.auto import tqdm
from transformers import TrainerCallback

from ...constants import NO_LABEL
from ...dialogue.names import AUTO, SpeakerKinds
from ...dialogue.spellings import SpeakerNames
from ...evaluation.metrics import emotion_metrics
from ...hub.card_callback import CardCallback
from ...layers.loss import weighted_cross_entropy
from ...layers.outputs import EmoNetOutput
from ...prompted.modeling import PromptedEmoNet
from ...prompted.prefix_reader import PrefixReader
from ...prompted.processing import PromptedProcessor
from ...prompted.prompts import Facts, LabelledTurn, SpeakerFacts
from ...speakers.biographies.choose import Biographer
from ...speakers.biographies.extractive import dialogue_view
from ...train_trainer import EmoNetTrainer
from .batches import DialogueSampler, neftune_of_prompts
from .tasks import TaskSettings, impact_prompt
from .trajectory import EmotionRecord


class PromptedSplit(Dataset[dict[str, Any]]):
    """A split's turns as prompts, built on access, as trajectories change in training.

    Args:
        name: Name of the split; only `train` uses the model's own predictions in place of
            labels, and only its demonstrations exclude the turn's dialogue.
        dialogues: Rows of the `dialogues` view, with `speaker_history_index`.
        model: Provides the prompts and the processor.
        record: The corpus's emotions.
        biographer: Writes a speaker's biography from what a view may see; None for no
            biographies.
        tasks: Additions in training: the emotion-impact prompt, demonstrations by label.
        kinds: Which speakers of the corpus are persons.
    """

    def __init__(
        self,
        name: str,
        dialogues: Sequence[Mapping[str, Any]],
        model: PromptedEmoNet,
        record: EmotionRecord,
        biographer: Biographer | None = None,
        tasks: TaskSettings | None = None,
        kinds: SpeakerKinds = AUTO,
    ):
        self.name, self.dialogues, self.record = name, list(dialogues), record
        self._prompts, self._kinds = model.prompts, kinds
        self._known_speakers = SpeakerNames(model.processor.speakers, kinds, warn=False)
        # (dialogue, turn) of every turn, and the indices in it of the labelled ones.
        self.turns = [
            (dialogue, turn)
            for dialogue, row in enumerate(self.dialogues)
            for turn in range(len(row["turns"]))
        ]
        self.examples = [index for index, turn in enumerate(self.turns) if self.label(*turn) != NO_LABEL]
        self._biographies = [self._biographies_of(row, biographer) for row in self.dialogues]
        self._tasks = tasks or TaskSettings()
        self._demonstrations = [
            self._demonstrations_of(dialogue, model.processor) for dialogue in range(len(self.dialogues))
        ]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        dialogue, turn = self.turns[self.examples[index]]
        example = {"input_ids": self.prompt(dialogue, turn), "labels": [self.label(dialogue, turn)]}
        if self._tasks.impact_weight:
            turns = self.dialogues[dialogue]["turns"]
            example["impact_input_ids"] = impact_prompt(self._prompts, turns, turn)
        return example

    def prompt(self, dialogue: int, turn: int) -> list[int]:
        """Tokens of the prompt for a dialogue's turn."""
        turns = self.dialogues[dialogue]["turns"]
        return self._prompts.tokens(turns, turn, self._facts(dialogue), self._demonstrations[dialogue][turn])

    def _facts(self, dialogue: int) -> Facts:
        turns, biographies = self.dialogues[dialogue]["turns"], self._biographies[dialogue]
        lines = {turn["utterance_index"]: index for index, turn in enumerate(turns)}

        def facts(index: int) -> SpeakerFacts:
            trajectory = self.record.trajectory(turns[index], self.name == "train", lines)
            return SpeakerFacts(biographies.get(turns[index]["speaker"], ""), trajectory)

        return facts

    def groups(self) -> list[int]:
        """The dialogue of each example: its prompts share what packing computes once."""
        return [self.turns[index][0] for index in self.examples]

    def label(self, dialogue: int, turn: int) -> int:
        """A turn's label, -100 if it has none."""
        emotion = self.dialogues[dialogue]["turns"][turn]["emotion"]
        return NO_LABEL if emotion is None or emotion < 0 else emotion

    def labels(self) -> np.ndarray:
        """(N,) label of every turn in order, -100 if unlabelled."""
        return np.array([self.label(*turn) for turn in self.turns], dtype=np.int64)

    def by_dialogue(self, scores: np.ndarray) -> list[np.ndarray]:
        """Split scores (N, C) of all turns into (T, C) for each dialogue."""
        return np.split(scores, np.cumsum([len(row["turns"]) for row in self.dialogues])[:-1])

    def _biographies_of(self, row: Mapping[str, Any], biographer: Biographer | None) -> dict[str, str]:
        if biographer is None or not self._prompts.settings.biography:
            return {}
        view = dialogue_view(self.name, dict(row))
        names = dict.fromkeys(turn["speaker"] for turn in row["turns"])
        one_name = self._known_speakers.of
        speakers = {name: self._kinds.identity(one_name(name), row["dialogue_id"]) for name in names}
        return {name: biographer(speaker, view).text for name, speaker in speakers.items()}

    def _demonstrations_of(
        self, dialogue: int, processor: PromptedProcessor
    ) -> Sequence[Sequence[LabelledTurn]]:
        """Demonstrations for each turn of a dialogue.

        Those of a training turn never come from its own dialogue.
        """
        row = self.dialogues[dialogue]
        if not self._prompts.settings.demonstrations:
            return [()] * len(row["turns"])
        texts, training = [turn["text"] for turn in row["turns"]], self.name == "train"
        emotions: list[str | None] | None = None
        if training and self._tasks.demonstrations_share_label:
            labels = [self.label(dialogue, turn) for turn in range(len(texts))]
            emotions = [None if label == NO_LABEL else self._prompts.labels[label] for label in labels]
        return processor.demonstrations_for(texts, row["dialogue_id"] if training else None, emotions)


def predict_split(
    model: PromptedEmoNet, split: PromptedSplit, progress: bool = False
) -> tuple[np.ndarray, PrefixReader]:
    """Predict every turn of a split in order of time.

    Each prediction is recorded before the next prompt is built, because later
    trajectories contain it.

    Returns:
        Log-probabilities (N, C), and the reader with its token counts.
    """
    model.eval()  # type: ignore[no-untyped-call]
    reader = PrefixReader(model.language_model, model.tree)
    scores = []
    for dialogue, turn in tqdm(split.turns, disable=not progress, desc=split.name):
        scores.append(reader.log_probabilities(split.prompt(dialogue, turn)).float().cpu().numpy())
        utterance = split.dialogues[dialogue]["turns"][turn]["utterance_index"]
        split.record.add_prediction(utterance, int(scores[-1].argmax()))
    return np.stack(scores), reader


def split_metrics(model: PromptedEmoNet, split: PromptedSplit, scores: np.ndarray) -> dict[str, Any]:
    """Compute `emotion_metrics` of a split, and its weighted `loss`."""
    gold = split.labels()
    total, weight = weighted_cross_entropy(
        torch.from_numpy(scores), torch.from_numpy(gold), model.config.class_weights
    )
    return {"loss": float(total / weight), **emotion_metrics(gold, scores.argmax(-1), model.labels)}


class PromptedTrainer(EmoNetTrainer):
    """An `EmoNetTrainer` over prompts, which evaluates turn by turn, as at inference."""

    required_keys = ("input_ids", "labels")

    def __init__(self, impact_weight: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.impact_weight = impact_weight
        self.remove_callback(CardCallback)  # the finished run writes its record and card

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Weighted cross entropy of the main task, plus α times the impact task's.

        Both tasks have the same labels; the emotion-impact prompt lacks the turn's text.
        """
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        with neftune_of_prompts(self.model, inputs):
            outputs = model(**inputs)
        main, *impact = outputs.logits.split(len(labels))
        outputs = EmoNetOutput(logits=main)
        loss = self.loss_of(outputs, labels, None, num_items_in_batch)
        for logits in impact:
            share = self.loss_of(EmoNetOutput(logits=logits), labels, None, num_items_in_batch)
            loss = loss + self.impact_weight * share
        return (loss, outputs) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        return DialogueSampler(dataset.groups(), self.args.train_batch_size, self.args.seed)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        model: PromptedEmoNet = self.accelerator.unwrap_model(self.model)
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
    """Replace trajectory labels of training turns by the model's own predictions.

    Starts with the second epoch; the share of replaced labels grows linearly to `share`.
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
