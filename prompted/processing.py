"""PromptedProcessor: what a prompted model reads beside its weights: tokenizer, names,
biographies; dialogues → prompts.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers.utils import cached_file

from ..checkpoint.files import (
    backbone_tokenizer,
    hub_options,
    labelled,
    package,
    speakers_of,
    tokenizer_of,
    write_speakers,
)
from ..dialogue.turns import raw_text, turn_speaker
from ..errors import EmoNetError
from ..files.guard import read_json, refuse_outside_links
from .configuration import PromptedEmoNetConfig
from .demonstrations import DemonstrationBank
from .label_tree import LabelTree
from .prompts import LabelledTurn, PromptBuilder

BIOGRAPHIES_FILE = "biographies.json"


class PromptedProcessor:
    """Writes the prompt of a turn, and makes rows of its scores.

    Args:
        tokenizer: The language model's. config: The model's configuration.
        speakers: Global id of each known speaker's name, which in anonymous mode is their
            number.
        biographies: By name: `text`, and where it is from (`kind`, `model`,
            `prompt_digest`, `utterances`).
        demonstrations: The bank that prompts with demonstrations show turns of.

    Attributes:
        dialogue_biographer: Writes biographies from whole dialogues, where prompts hold
            such; made when first needed.
            annotator_name: What wrote those of training, and must write the others.
    """

    config_class = PromptedEmoNetConfig

    def __init__(
        self,
        tokenizer: Any,
        config: PromptedEmoNetConfig,
        speakers: Mapping[str, int] | None = None,
        biographies: Mapping[str, Mapping[str, Any]] | None = None,
        demonstrations: DemonstrationBank | None = None,
    ):
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.tokenizer, self.config = tokenizer, config
        self.speakers, self.biographies = dict(speakers or {}), dict(biographies or {})
        self.demonstrations, self.dialogue_biographer, self.annotator_name = demonstrations, None, ""
        sequences = [tokenizer(label, add_special_tokens=False)["input_ids"] for label in config.label_names]
        self.tree = LabelTree(sequences, tokenizer.eos_token_id)
        room = config.text_config.max_position_embeddings - max(map(len, sequences)) - 1
        self.prompts = PromptBuilder(
            tokenizer, config.label_names, config.prompt_settings, room, self.speakers
        )

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoProcessor") -> None:
        """Called by `AutoProcessor` on a class out of a repository; the code travels with
        the model that needs it.
        """

    @classmethod
    def from_backbone(
        cls,
        backbone: str,
        config: PromptedEmoNetConfig,
        speakers: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> "PromptedProcessor":
        """The processor of a new model: the backbone's tokenizer."""
        return cls(backbone_tokenizer(backbone, **kwargs), config, speakers)

    @classmethod
    def from_pretrained(cls, checkpoint: str | os.PathLike[str], **kwargs: Any) -> "PromptedProcessor":
        """The processor saved beside a checkpoint (a folder or a Hub id).

        Raises:
            ValueError: where the tokenizer, `speakers.json`, `biographies.json` or the
                demonstrations are missing, with the way to mend it.
        """
        checkpoint, kwargs = str(checkpoint), hub_options(kwargs)
        config = PromptedEmoNetConfig.from_pretrained(checkpoint, **kwargs)
        tokenizer, speakers = tokenizer_of(checkpoint, config, **kwargs), speakers_of(checkpoint, **kwargs)
        settings = config.prompt_settings
        told = _biographies_of(checkpoint, **kwargs) if settings.biography else {"biographies": {}}
        bank = DemonstrationBank.load(checkpoint, **kwargs) if settings.demonstrations else None
        processor = cls(tokenizer, config, speakers, told["biographies"], bank)
        processor.annotator_name = told.get("annotator", "")
        return processor

    def save_pretrained(self, folder: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write the tokenizer, `speakers.json` and, where prompts hold them, biographies
        and demonstrations into `folder`.
        """
        refuse_outside_links(folder)
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        write_speakers(folder, sorted(self.speakers, key=lambda name: self.speakers[name]))
        if self.config.prompt_settings.biography:
            document: dict[str, Any] = {"version": 1, "biographies": self.biographies}
            if self.annotator_name:
                document["annotator"] = self.annotator_name
            Path(folder, BIOGRAPHIES_FILE).write_text(
                json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8"
            )
        if self.demonstrations is not None:
            self.demonstrations.save(folder)

    def prompt(
        self, turns: Sequence[Mapping[str, Any]], place: int, name: str, trajectory: Sequence[LabelledTurn]
    ) -> list[int]:
        """The tokens of the prompt for a turn, with what is known of its speaker `name`."""
        return self.prompts.tokens(
            turns, place, trajectory=trajectory, **self.prompt_facts(turns, place, name)
        )

    def prompt_facts(self, turns: Sequence[Mapping[str, Any]], place: int, name: str) -> dict[str, Any]:
        """What a turn's prompt is told besides the dialogue and the trajectory:
        `biography` and `demonstrations`.
        """
        settings = self.config.prompt_settings
        if settings.biography_of_dialogue:
            biography = self._dialogue_biographer().of_dialogue(turns, turn_speaker(turns[place], place)).text
        else:
            biography = self.biographies.get(name, {}).get("text", "")
        shown = self.demonstrations_for([raw_text(turns[place], place)])[0] if settings.demonstrations else ()
        return {"biography": biography, "demonstrations": shown}

    def demonstrations_for(
        self,
        texts: Sequence[str],
        own_dialogue: str | None = None,
        emotions: Sequence[str | None] | None = None,
    ) -> list[list[LabelledTurn]]:
        """The demonstrations for each of these turns: see [`DemonstrationBank.nearest`]."""
        if self.demonstrations is None:
            raise EmoNetError(
                "These prompts show demonstrations, and the processor has no bank: DemonstrationBank.from_training."
            )
        count = self.config.prompt_settings.demonstrations
        nearest = self.demonstrations.nearest(texts, count, own_dialogue, emotions)
        return [[LabelledTurn(turn.text, turn.emotion) for turn in turns] for turns in nearest]

    def _dialogue_biographer(self) -> Any:
        if self.dialogue_biographer is None:
            settings = self.config.prompt_settings
            try:
                biographer = package.dialogue_biographer(settings, self.speakers)
            except ModuleNotFoundError as error:
                raise EmoNetError(
                    f"This model is told biographies that {settings.biography_writer!r} writes of each dialogue, and "
                    f"{error.name} is not installed: pip install 'emonet[lm]'."
                ) from error
            self.use_biographer(biographer)
        return self.dialogue_biographer

    def use_biographer(self, biographer: Any) -> None:
        """Take a [`DialogueBiographer`], in training or the one of training again.

        Raises:
            EmoNetError: for another writer than that of training.
        """
        name = biographer.annotator.name
        if self.annotator_name not in ("", name):
            raise EmoNetError(
                f"The model learnt with biographies by {self.annotator_name}, "
                f"{self.config.prompt_settings.biography_writer!r} is {name} here: give the writer it was trained with."
            )
        self.dialogue_biographer, self.annotator_name = biographer, name

    def labels_of(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """(T, C) log-probabilities → for each turn `label`, `score` and all `scores` by
        label, calibrated.
        """
        return labelled(logits, self.config)


def _biographies_of(checkpoint: str, **options: Any) -> dict[str, Any]:
    """The document, whose `biographies` are there."""
    try:
        path = str(cached_file(checkpoint, BIOGRAPHIES_FILE, **options))
        document = read_json(path)
        return {**document, "biographies": document["biographies"]}
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{checkpoint!r} has no {BIOGRAPHIES_FILE} that loads, which its prompts tell the speakers by: copy it from the "
            f'training run, or write {{"version": 1, "biographies": {{}}}} to do without. ({error})'
        ) from error
