"""PromptedProcessor: what a prompted model reads beside its weights: tokenizer, names, biographies; dialogues → prompts."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers.utils import cached_file

from .checkpoint_files import backbone_tokenizer, hub_options, labelled, speakers_of, tokenizer_of, write_speakers
from .configuration_prompted import PromptedEmoNetConfig
from .label_tree import LabelTree
from .prompts import FeltTurn, PromptBuilder

BIOGRAPHIES_FILE = "biographies.json"


class PromptedProcessor:
    """Writes the prompt of a turn, and makes rows of its scores.

    Args:
        tokenizer: The language model's. config: The model's configuration.
        speakers: Global id of each known speaker's name, which in anonymous mode is their number.
        biographies: By name: `text`, and where it is from (`kind`, `model`, `prompt_digest`, `utterances`).
    """

    config_class = PromptedEmoNetConfig

    def __init__(
        self,
        tokenizer: Any,
        config: PromptedEmoNetConfig,
        speakers: Mapping[str, int] | None = None,
        biographies: Mapping[str, Mapping[str, Any]] | None = None,
    ):
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.tokenizer, self.config = tokenizer, config
        self.speakers, self.biographies = dict(speakers or {}), dict(biographies or {})
        sequences = [tokenizer(label, add_special_tokens=False)["input_ids"] for label in config.label_names]
        self.tree = LabelTree(sequences, tokenizer.eos_token_id)
        room = config.text_config.max_position_embeddings - max(map(len, sequences)) - 1
        self.prompts = PromptBuilder(tokenizer, config.label_names, config.prompt_settings, room, self.speakers)

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoProcessor") -> None:
        """Called by `AutoProcessor` on a class out of a repository; the code travels with the model that needs it."""

    @classmethod
    def from_backbone(
        cls, backbone: str, config: PromptedEmoNetConfig, speakers: Mapping[str, int] | None = None, **kwargs: Any
    ) -> "PromptedProcessor":
        """The processor of a new model: the backbone's tokenizer."""
        return cls(backbone_tokenizer(backbone, **kwargs), config, speakers)

    @classmethod
    def from_pretrained(cls, checkpoint: str | os.PathLike[str], **kwargs: Any) -> "PromptedProcessor":
        """The processor saved beside a checkpoint (a folder or a Hub id).

        Raises:
            ValueError: where the tokenizer, `speakers.json` or `biographies.json` is missing, with the way to mend it.
        """
        checkpoint, kwargs = str(checkpoint), hub_options(kwargs)
        config = PromptedEmoNetConfig.from_pretrained(checkpoint, **kwargs)
        tokenizer, speakers = tokenizer_of(checkpoint, config, **kwargs), speakers_of(checkpoint, **kwargs)
        biographies = _biographies_of(checkpoint, **kwargs) if config.prompt_settings.biography else {}
        return cls(tokenizer, config, speakers, biographies)

    def save_pretrained(self, folder: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write the tokenizer, `speakers.json` and, where prompts hold them, `biographies.json` into `folder`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        write_speakers(folder, sorted(self.speakers, key=lambda name: self.speakers[name]))
        if self.config.prompt_settings.biography:
            document = {"version": 1, "biographies": self.biographies}
            Path(folder, BIOGRAPHIES_FILE).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def prompt(self, turns: Sequence[Mapping[str, Any]], place: int, name: str, trajectory: Sequence[FeltTurn]) -> list[int]:
        """The tokens of the prompt for a turn, with what is known of its speaker `name`."""
        biography = self.biographies.get(name, {}).get("text", "")
        return self.prompts.tokens(turns, place, biography, trajectory)

    def labels_of(self, logits: np.ndarray) -> list[dict[str, Any]]:
        """(T, C) log-probabilities → for each turn `label`, `score` and all `scores` by label, calibrated."""
        return labelled(logits, self.config)


def _biographies_of(checkpoint: str, **options: Any) -> dict[str, dict[str, Any]]:
    try:
        path = str(cached_file(checkpoint, BIOGRAPHIES_FILE, **options))
        return json.loads(Path(path).read_text("utf-8"))["biographies"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{checkpoint!r} has no {BIOGRAPHIES_FILE} that loads, which its prompts tell the speakers by: copy it from the "
            f'training run, or write {{"version": 1, "biographies": {{}}}} to do without. ({error})'
        ) from error
