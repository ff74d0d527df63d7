"""Prepare a model and a dataset for fine-tuning with the plain Trainer."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers.utils import logging

from ..checkpoint.files import package
from ..constants import NO_LABEL
from ..dialogue.history import named_alike, speaker_histories, turn_rows
from ..dialogue.names import Speakers, speaker_kinds
from ..dialogue.tables.datasets import LabelledDialogues, read_dataset
from ..dialogue.tables.frames import is_frame
from ..dialogue.tables.labels import same_labels, spelled_as, spellings_note
from ..dialogue.tables.rows import Dialogue
from ..errors import EmoNetError
from ..files.old_labels import drop_saved
from ..layers.heads import build_classifier
from .carried_card import keep_cards
from .class_weights import class_weights
from .encoding import EncodedSplit, EncodedSplits

logger = logging.get_logger(__name__)

TRAIN = "train"
# Splits in order of time; any others follow.
_ORDER = {TRAIN: 0, "validation": 1, "valid": 1, "dev": 1, "test": 2}


def prepare(
    model: Any,
    dataset: Any,
    columns: Mapping[str, str] | None = None,
    *,
    class_weighting: str = "sqrt_inverse",
    speaker_memory: str | None = None,
    new_speakers: bool = False,
    speakers: Speakers = "auto",
    interleaved: bool = False,
) -> EncodedSplits | EncodedSplit:
    """Encode a dataset for a model, and set up the model to be trained on it.

    Class weights come from the train split; a calibration of earlier data is dropped, and
    the classifier starts anew if the model was loaded with new labels. Long dialogues
    become several windows, and every turn is read out once. What was decided, and what is
    trained, is told in one warning.

    Args:
        model: A model with its processor.
        dataset: A `DatasetDict` (or dictionary) of splits, a `Dataset` or a
            `pandas.DataFrame`, one row a turn: `dialogue_id`, `speaker`, `text`,
            `emotion` (a name, or an id of a `ClassLabel`) and, optionally, `turn`, which
            orders the turns. Rows stand in order of time.
        columns: The columns of these fields where they have other names:
            `{"text": "utterance"}`.
        class_weighting: See [`class_weights`].
        speaker_memory: `corpus` lets a memory reach over all earlier dialogues of the
            split, `dialogue` keeps it inside one. Default: as in training.
        new_speakers: Give the persons of the train split ids of their own.
        speakers: Who is a person: see [`speaker_kinds`].
        interleaved: Whether the rows of a dialogue may stand between those of others.

    Returns:
        The encoded splits by name, or the one of a single dataset, with `collator` and
        `compute_metrics` for the Trainer.

    Raises:
        DataFormatError: naming the split, row and column.
        EmoNetError: for labels that the model lacks, or a split without any label.
    """
    processor, config = model.processor, model.config
    if config.num_concepts:
        raise EmoNetError("A model with concepts can't be trained further.")
    _set_memory(config, speaker_memory)
    read = read_dataset(dataset, columns, interleaved)
    notes = list(read.notes)
    notes += _set_labels(model, read)
    dialogues = sorted(
        (dialogue for split in read.splits.values() for dialogue in split),
        key=lambda dialogue: (_ORDER.get(dialogue.split, 3), dialogue.order),
    )
    names = dict.fromkeys(turn.speakers[0] for dialogue in dialogues for turn in dialogue.turns)
    kinds = speaker_kinds(names, speakers, processor.speakers)
    if note := kinds.note():
        notes.append(note)
    dialogues = named_alike(dialogues, kinds, processor.speakers)
    trained = [turn for dialogue in dialogues if dialogue.split == TRAIN for turn in dialogue.turns]
    persons = dict.fromkeys(turn.speakers[0] for turn in trained if not kinds.is_role(turn.speakers[0]))
    notes += _set_persons(model, persons, new_speakers)
    histories = speaker_histories(dialogues, config.memory_window, config.speaker_memory, kinds)
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in read.splits}
    for dialogue, turns in zip(dialogues, turn_rows(dialogues, histories, config.label_names), strict=True):
        for turn in turns:
            turn["speaker_id"] = -1 if kinds.is_role(turn["speaker"]) else None
        rows[dialogue.split].append({"dialogue_id": dialogue.dialogue_id, "turns": turns})
    texts = [turn.text for dialogue in dialogues for turn in dialogue.turns]
    encoded = EncodedSplits(rows, texts, processor)
    for split in encoded:
        if not (encoded[split].labels() != NO_LABEL).any():
            raise EmoNetError(
                f"{split} split: no turn has a label to learn from; give the labels under 'emotion'."
            )
    if TRAIN in encoded:
        _set_weights(config, encoded[TRAIN].labels(), class_weighting)
        config.dataset_version = _version(dataset, dialogues)
        notes += _training_notes(model, encoded)
    if not package.is_installed and model.name_or_path:
        model.fine_tuned_from = model.name_or_path
        keep_cards()
    logger.warning("\n- ".join(["Fine-tuning:", *notes]))
    return next(iter(encoded.splits.values())) if is_frame(dataset) else encoded


def start_classifier(model: Any) -> None:
    """Replace the classifier by a new one; loaded weights can't be initialised again."""
    old = next(model.classifier.parameters())
    classifier = build_classifier(model.config).apply(model._init_weights)
    model.classifier = classifier.to(old.device, old.dtype).train(model.training)
    model.has_new_labels = False


@torch.no_grad()
def add_speakers(model: Any, persons: Iterable[str]) -> int:
    """Give new persons the ids after the known ones; they start as the unknown speaker.

    Args:
        model: A model with its processor.
        persons: Their names.

    Returns:
        How many are new.
    """
    processor = model.processor
    ids = processor.speakers
    before = len(ids)
    for name in persons:
        if not processor.speaker_id_of(name):
            ids[name] = len(ids) + 1
    config, old = model.config, model.emonet.speaker_embedding
    if config.speaker_identity == "global" and old is not None and len(ids) + 1 > config.num_speakers:
        config.num_speakers = len(ids) + 1
        new = torch.nn.Embedding(
            config.num_speakers, config.hidden_size, dtype=old.weight.dtype, device=old.weight.device
        )
        new.weight.copy_(old.weight[:1].expand_as(new.weight))
        new.weight[: len(old.weight)] = old.weight
        model.emonet.speaker_embedding = new
    return len(ids) - before


def _set_memory(config: Any, scope: str | None) -> None:
    """Let the memory reach over the dialogue or the corpus, with the same weights."""
    if scope in (None, config.speaker_memory):
        return
    if scope not in ("dialogue", "corpus") or config.speaker_memory == "none":
        has = (
            "the model has no memory: train one with emonet train --speaker-memory"
            if config.speaker_memory == "none"
            else "choose dialogue or corpus"
        )
        raise EmoNetError(f"speaker_memory={scope!r}: {has}.")
    config.speaker_memory = scope


def _set_labels(model: Any, read: LabelledDialogues) -> list[str]:
    """Spell the labels as the model does, and name those that it has by number alone.

    Raises:
        EmoNetError: for labels that the model lacks, with the call that gives it them.
    """
    config = model.config
    turns = [turn for split in read.splits.values() for dialogue in split for turn in dialogue.turns]
    counts = Counter(turn.emotion for turn in turns if turn.emotion is not None)
    spellings = same_labels(counts)
    found = read.label_names or sorted(set(spellings.values()))
    old = config.label_names
    if all(re.fullmatch(r"LABEL_\d+", name) for name in old) and not set(counts) & set(old):
        if len(found) != len(old):
            raise EmoNetError(
                f"num_labels={len(old)}, but the dataset has {len(found)} labels: {_call(found)}"
            )
        config.id2label = dict(enumerate(found))
    known = config.label_names
    for turn in turns:
        if turn.emotion is not None:
            turn.emotion = spelled_as(known, spellings[turn.emotion])
    unknown = sorted({turn.emotion for turn in turns if turn.emotion is not None} - set(known))
    if unknown:
        raise EmoNetError(
            f"The dataset has the label{'s' * (len(unknown) > 1)} {', '.join(unknown)}, and the model has "
            f"{', '.join(known)}. If it is a slip, correct it. To train on the dataset's labels: "
            f"{_call(found)}"
        )
    return [note] if (note := spellings_note(spellings, counts)) else []


def _call(labels: Sequence[str]) -> str:
    return f"from_pretrained(..., id2label={dict(enumerate(labels))!r:.2000}, ignore_mismatched_sizes=True)."


def _set_persons(model: Any, persons: Iterable[str], new_speakers: bool) -> list[str]:
    processor, config = model.processor, model.config
    if config.speaker_identity != "global":
        if new_speakers:
            raise EmoNetError(
                f"new_speakers=True: the model gives persons no ids (speaker_identity="
                f"{config.speaker_identity!r}); leave it out."
            )
        return []
    if new_speakers:
        count = add_speakers(model, persons)
        return [f"new persons with an id of their own: {count}"]
    unknown = [name for name in persons if not processor.speaker_id_of(name)]
    if not unknown:
        return []
    return [
        f"persons of the train split that the model does not know: {len(unknown)}, such as {unknown[0]} "
        "(new_speakers=True gives them ids)"
    ]


def _set_weights(config: Any, labels: np.ndarray, scheme: str) -> None:
    """Weight the classes, with a mean of 1 over the labels.

    Trainer divides a step's loss by its number of labels, not by their total weight:
    with this mean the two differ by chance alone.
    """
    weights = class_weights(labels, config.num_labels, scheme)
    if weights is not None:
        mean = float(np.mean(np.asarray(weights)[labels[labels != NO_LABEL]]))
        weights = [round(weight / mean, 6) for weight in weights]
    config.class_weights = weights


@torch.no_grad()
def _training_notes(model: Any, encoded: EncodedSplits) -> list[str]:
    """Drop what was fitted to earlier data, and say what is trained on what."""
    config = model.config
    notes = []
    if model.has_new_labels:
        start_classifier(model)
        notes.append("the classifier starts anew, because the labels are new")
    dropped = drop_saved(config, {"calibration_temperature": config.calibration_temperature})
    for name, buffer in model.named_buffers():
        if name.endswith("class_bias") and buffer.any():
            buffer.zero_()
            dropped.append("class_bias")
    if dropped:
        notes.append(f"dropped, because it was fitted to earlier data: {', '.join(dropped)}")
    labels = encoded[TRAIN].labels()
    absent = [
        name for index, name in enumerate(config.label_names) if not (labels[labels >= 0] == index).any()
    ]
    if absent:
        notes.append(f"no turn of the train split has the label {', '.join(absent)}")
    if config.class_weights is not None:
        weights = zip(config.label_names, config.class_weights, strict=True)
        notes.append(f"class weights: {', '.join(f'{name} {weight:.2f}' for name, weight in weights)}")
    sizes = [
        f"{name} {len(split.rows)} dialogues, {len(split.labels())} turns, {len(split)} windows"
        for name, split in encoded.items()
    ]
    notes.append("; ".join(sizes))
    parts = {name: module for name, module in model.emonet.named_children() if module is not None}
    parts["classifier"] = model.classifier
    trained, frozen = Counter[str](), Counter[str]()
    for name, module in parts.items():
        for parameter in module.parameters():
            (trained if parameter.requires_grad else frozen)[name] += parameter.numel()
    notes.append(f"trained: {_sizes(trained)}")
    if frozen:
        notes.append(f"frozen: {_sizes(frozen)}")
    if config.freeze_backbone:
        notes.append(
            "the backbone is frozen (freeze_backbone=True); from_pretrained(..., freeze_backbone=False) "
            "trains it too, with a learning rate of about 2e-5"
        )
    return notes


def _sizes(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size / 1e6:.2f} M" for name, size in parts.items() if size)


def _version(dataset: Any, dialogues: Iterable[Dialogue]) -> str:
    """Name the data as `load_conversations` names files: a name and a digest."""
    first = dataset if is_frame(dataset) else dataset[TRAIN]
    name = getattr(getattr(first, "info", None), "dataset_name", None) or "dataset"
    digest = hashlib.sha256()
    for dialogue in dialogues:
        turns = [(turn.speakers, turn.text, turn.emotion) for turn in dialogue.turns]
        digest.update(repr((dialogue.split, dialogue.dialogue_id, turns)).encode("utf-8", "replace"))
    return f"{name}-{digest.hexdigest()[:8]}"
