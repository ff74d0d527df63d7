"""Encode dialogues as prompts, with the files beside a prompted model's weights."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.utils.hub import cached_file

from ..checkpoint.files import backbone_tokenizer, package
from ..checkpoint.processor import DialogueProcessor
from ..constants import NO_LABEL
from ..dialogue.names import known_names
from ..dialogue.turns import given_speaker_id, raw_text, speaker_names, turn_speaker
from ..errors import EmoNetError
from ..files.guard import read_json
from ..layers.padding import pad_rows
from .configuration import PromptedEmoNetConfig
from .demonstrations import DemonstrationBank
from .label_tree import LabelTree
from .prompts import Facts, LabelledTurn, PromptBuilder, SpeakerFacts

BIOGRAPHIES_FILE = "biographies.json"


class PromptedProcessor(DialogueProcessor):
    """Writes the prompts of turns, and makes rows of their scores.

    Args:
        tokenizer: The language model's tokenizer.
        config: The model's configuration.
        speakers: Name → global id of each known speaker: the number in anonymous mode.
        biographies: Name → `text` and its provenance (`kind`, `model`, `prompt_digest`,
            `anonymous`, `utterances`).
        demonstrations: The bank of labelled turns, where prompts hold demonstrations.

    Attributes:
        dialogue_biographer: Writes biographies from whole dialogues, where prompts hold
            such; created on first use.
        annotator_name: The writer of the biographies in training, which must write all
            others too.
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
        super().__init__(tokenizer, speakers)
        self.biographies = dict(biographies or {})
        self.demonstrations = demonstrations
        self.dialogue_biographer: Any = None
        self.annotator_name = ""
        self.config = config

    @property
    def config(self) -> PromptedEmoNetConfig:
        """The configuration: that of the model, once this is its processor."""
        return self._config

    @config.setter
    def config(self, config: PromptedEmoNetConfig) -> None:
        self._config = config
        tokenizer = self.tokenizer
        sequences = [tokenizer(label, add_special_tokens=False)["input_ids"] for label in config.label_names]
        self.tree = LabelTree(sequences, tokenizer.eos_token_id)
        # The longest label and the end of the answer must fit behind the prompt.
        max_tokens = config.text_config.max_position_embeddings - max(map(len, sequences)) - 1
        self.prompts = PromptBuilder(
            tokenizer, config.label_names, config.prompt_settings, max_tokens, self.speakers
        )

    @classmethod
    def from_backbone(
        cls,
        backbone: str,
        config: PromptedEmoNetConfig,
        speakers: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> "PromptedProcessor":
        """Create the processor of a new model, with the backbone's tokenizer."""
        return cls(backbone_tokenizer(backbone, **kwargs), config, speakers)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> "PromptedProcessor":
        """Load the processor saved with a checkpoint or alone (a folder or a Hub id).

        Raises:
            ValueError: If the tokenizer, speakers or biographies are missing.
            EmoNetError: If the demonstrations are missing, or an argument is unknown.
        """
        parts = cls.parts_of(pretrained_model_name_or_path, kwargs)
        checkpoint, options, config, tokenizer, speakers = parts
        settings = config.prompt_settings
        document = _biographies_of(checkpoint, **options) if settings.biography else {"biographies": {}}
        bank = DemonstrationBank.load(checkpoint, **options) if settings.demonstrations else None
        processor = cls(tokenizer, config, speakers, document["biographies"], bank)
        processor.annotator_name = document.get("annotator", "")
        return processor

    def save_parts(self, folder: Path) -> None:
        """Write biographies and demonstrations, where prompts hold them."""
        if self.config.prompt_settings.biography:
            document: dict[str, Any] = {"version": 1, "biographies": self.biographies}
            if self.annotator_name:
                document["annotator"] = self.annotator_name
            Path(folder, BIOGRAPHIES_FILE).write_text(
                json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8"
            )
        if self.demonstrations is not None:
            self.demonstrations.save(folder)

    def batch(self, dialogues: list[list[Mapping[str, Any]]]) -> dict[str, torch.Tensor]:
        """Encode the prompts of all turns, in order, into a padded batch.

        Every dialogue stands alone. A speaker's trajectory holds their earlier turns in
        it with the given emotions; `predict()` uses the model's own predictions.

        Args:
            dialogues: Lists of turns.

        Returns:
            For N turns of all dialogues: `input_ids` and `attention_mask` (N, L), padded
            on the right, and `labels` (N, 1). The model's logits are (N, 1, C).

        Raises:
            EmoNetError: for an earlier turn without an emotion that a trajectory holds.
            ValueError: for an empty dialogue.
        """
        rows: list[list[int]] = []
        labels: list[list[int]] = []
        for dialogue, turns in enumerate(dialogues):
            if not turns:
                raise ValueError('A dialogue needs at least one turn: [{"speaker": "Ann", "text": "Hi."}].')
            ids = [self.label_of(turn, index) for index, turn in enumerate(turns)]
            facts = self._labelled_facts(turns, ids, dialogue)
            rows += [self.prompt(turns, index, facts) for index in range(len(turns))]
            labels += [[label] for label in ids]
        length = max(map(len, rows))
        return {
            "input_ids": pad_rows(rows, length, self.tokenizer.pad_token_id),
            "attention_mask": pad_rows([[1] * len(row) for row in rows], length, 0),
            "labels": torch.tensor(labels),
        }

    def _labelled_facts(
        self, turns: Sequence[Mapping[str, Any]], labels: Sequence[int], dialogue: int
    ) -> Facts:
        """The facts about the speakers of a dialogue, with the given emotions."""
        depth, label_names = self.config.prompt_settings.trajectory, self.config.label_names
        names = speaker_names(turns)

        def facts(index: int) -> SpeakerFacts:
            earlier = [turn for turn in range(index) if names[turn] == names[index]]
            latest = earlier[-depth:] if depth else []
            for turn in latest:
                if labels[turn] == NO_LABEL:
                    raise EmoNetError(
                        f"Dialogue {dialogue}, turn {turn} has no emotion, and this model's prompts hold the "
                        f"emotions of a speaker's earlier turns (trajectory={depth}): give them under "
                        "'emotion', or call model.predict(), which uses its own predictions."
                    )
            trajectory = [
                LabelledTurn(raw_text(turns[turn], turn), label_names[labels[turn]], turn) for turn in latest
            ]
            return SpeakerFacts(self.biography(turns, index, names[index]), trajectory)

        return facts

    def prompt(
        self, turns: Sequence[Mapping[str, Any]], index: int, facts: Facts, window: int | None = None
    ) -> list[int]:
        """Return the tokens of the prompt for a turn: see [`PromptBuilder.tokens`]."""
        return self.prompts.tokens(turns, index, facts, self.demonstrations_of(turns, index), window)

    def biography(self, turns: Sequence[Mapping[str, Any]], index: int, name: str) -> str:
        """Return the biography of `name`, the speaker of a turn; empty if unknown."""
        settings = self.config.prompt_settings
        if not settings.biography:
            return ""
        if settings.biography_of_dialogue:
            speaker = turn_speaker(turns[index], index)
            text: str = self._dialogue_biographer().of_dialogue(turns, speaker).text
            return text
        known = known_names(tuple(self.biographies)).find(name)
        if given_speaker_id(turns[index]) == 0:
            known = None  # somebody else than the known person of that name
        return str(self.biographies.get(known or "", {}).get("text", ""))

    def demonstrations_of(self, turns: Sequence[Mapping[str, Any]], index: int) -> Sequence[LabelledTurn]:
        """Return the demonstrations for a turn; none if prompts hold none."""
        if not self.config.prompt_settings.demonstrations:
            return ()
        return self.demonstrations_for([raw_text(turns[index], index)])[0]

    def demonstrations_for(
        self,
        texts: Sequence[str],
        own_dialogue: str | None = None,
        emotions: Sequence[str | None] | None = None,
    ) -> list[list[LabelledTurn]]:
        """Return the demonstrations for each text: see [`DemonstrationBank.nearest`]."""
        if self.demonstrations is None:
            raise EmoNetError(
                "These prompts hold demonstrations, but the processor has no bank: set "
                "processor.demonstrations = DemonstrationBank.from_training(...)."
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
                    f"This model's prompts hold biographies that {settings.biography_writer!r} writes for "
                    f"each dialogue, and {error.name} is not installed: pip install 'emonet[lm]'."
                ) from error
            self.use_biographer(biographer)
        return self.dialogue_biographer

    def use_biographer(self, biographer: Any) -> None:
        """Set the [`DialogueBiographer`].

        Raises:
            EmoNetError: If its writer is not the one of training.
        """
        name = biographer.annotator.name
        if self.annotator_name not in ("", name):
            raise EmoNetError(
                f"The model was trained with biographies by {self.annotator_name}, but "
                f"{self.config.prompt_settings.biography_writer!r} is {name} here: "
                "give the writer that it was trained with."
            )
        self.dialogue_biographer, self.annotator_name = biographer, name


def _biographies_of(checkpoint: str, **options: Any) -> dict[str, Any]:
    """Read `biographies.json` and check that it has `biographies`."""
    try:
        path = str(cached_file(checkpoint, BIOGRAPHIES_FILE, **options))
        document = read_json(path)
        return {**document, "biographies": document["biographies"]}
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{checkpoint!r} has no {BIOGRAPHIES_FILE} that loads, and its prompts hold biographies. "
            'Copy it from the training run, or write {"version": 1, "biographies": {}} to do without. '
            f"({error})"
        ) from error
