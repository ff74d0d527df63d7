"""PromptedEmoNet: a causal language model that names a turn's emotion by scoring label words behind a prompt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from ..backbones import backbone_name, resolve_backbone
from ..errors import EmoNetError
from ..modeling_emonet import EmoNetOutput, weighted_cross_entropy
from .label_tree import LabelTree
from .prefix_reader import PrefixReader
from .prompts import FeltTurn, PromptBuilder, PromptSettings

PROMPT_FILE = "prompts.json"


class PromptedEmoNet(nn.Module):
    """The prompted read-out: one prompt a turn, its answer scored over the label words and never read from free text.

    Args:
        language_model: A causal language model. tokenizer: Its tokenizer.
        labels: The label words, in order of their ids.
        settings: What a prompt holds.
        facts: `backbone`, `dataset_version`, `class_weights` …, kept beside the weights.

    Example:
        >>> model = PromptedEmoNet.from_backbone("smollm2", labels, PromptSettings(window=6))
        >>> model.predict([{"speaker": "Monica", "text": "We had a deal!"}])
    """

    def __init__(self, language_model: Any, tokenizer: Any, labels: Sequence[str], settings: PromptSettings, **facts: Any):
        super().__init__()
        self.language_model = language_model
        self.tokenizer = tokenizer
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.settings = settings
        self.config = language_model.config
        self.config.id2label = dict(enumerate(labels))
        self.config.label2id = {label: number for number, label in enumerate(labels)}
        self.config.class_weights = facts.pop("class_weights", None)
        self.facts = facts
        sequences = [tokenizer(label, add_special_tokens=False)["input_ids"] for label in labels]
        self.tree = LabelTree(sequences, tokenizer.eos_token_id)
        longest = max(len(sequence) for sequence in sequences)
        self.prompts = PromptBuilder(tokenizer, labels, settings, self.config.max_position_embeddings - longest - 1)

    @classmethod
    def from_backbone(cls, backbone: str, labels: Sequence[str], settings: PromptSettings, **facts: Any) -> "PromptedEmoNet":
        """On a pretrained language model: a Hub id, a folder or `smollm2`."""
        path = resolve_backbone(backbone)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        return cls(model, tokenizer, labels, settings, backbone=backbone_name(path), **facts).eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "PromptedEmoNet":
        """From a folder that `save_pretrained` wrote."""
        try:
            facts = json.loads(Path(folder, PROMPT_FILE).read_text("utf-8"))
            labels, settings = facts.pop("labels"), PromptSettings(**facts.pop("settings"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EmoNetError(f"{folder}: no prompted model ({error!r}); PromptedEmoNet.save_pretrained writes one.") from error
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)
        return cls(model, AutoTokenizer.from_pretrained(folder, trust_remote_code=False), labels, settings, **facts).eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the language model, with adapters as the weights that they make, its tokenizer and the form of its prompts."""
        folder = Path(folder)
        self.language_model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        facts = {
            "labels": self.labels,
            "settings": asdict(self.settings),
            "class_weights": self.config.class_weights,
            **self.facts,
        }
        (folder / PROMPT_FILE).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")

    @property
    def labels(self) -> list[str]:
        return self.prompts.labels

    @property
    def encoder(self) -> Any:
        """The transformer without its head, which adapters are put on."""
        return self.language_model.base_model

    @property
    def device(self) -> torch.device:
        return self.language_model.device

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor | None = None, **kwargs: Any
    ) -> EmoNetOutput:
        """Label scores of a batch of prompts, padded on the right, in one pass; for training.

        Args:
            input_ids / attention_mask: (B, L). labels: (B, 1), -100 where nothing is to be learnt.

        Returns:
            logits (B, 1, C): log-probabilities of the labels.
        """
        rows, lengths = [], attention_mask.sum(1)
        extra = max(len(prefix) for prefix, _ in self.tree.branches)
        for prefix, _ in self.tree.branches:
            padded = nn.functional.pad(input_ids, (0, extra), value=self.tokenizer.pad_token_id)
            for offset, token in enumerate(prefix):
                padded[torch.arange(len(padded)), lengths + offset] = token
            rows.append(padded)
        ends = torch.cat([lengths + len(prefix) - 1 for prefix, _ in self.tree.branches])
        # Behind a row's last token nothing is read and, in a causal model, nothing looks: the padding needs no mask.
        hidden = self.encoder(input_ids=torch.cat(rows), use_cache=False).last_hidden_state
        vocabulary = self.language_model.get_output_embeddings()(hidden[torch.arange(len(ends)), ends])
        logits = self.tree.log_probabilities(vocabulary.split(len(input_ids))).unsqueeze(1)
        loss = None
        if labels is not None:
            total, weight = weighted_cross_entropy(logits, labels, self.config.class_weights)
            loss = total / weight.clamp(min=torch.finfo(torch.float32).tiny)
        return EmoNetOutput(loss=loss, logits=logits)

    def predict(
        self,
        dialogue: Sequence[Mapping[str, Any]],
        biographies: Mapping[str, str] | None = None,
        felt: Mapping[str, Sequence[FeltTurn]] | None = None,
        reader: PrefixReader | None = None,
    ) -> list[dict[str, Any]]:
        """Emotion of every turn, as the pipeline gives it. The trajectory goes on with the model's own predictions.

        Args:
            biographies: By speaker. felt: What speakers said and felt in earlier dialogues, oldest first.
            reader: Goes on from the prompts it has read before.
        """
        self.eval()
        reader = reader or PrefixReader(self.language_model, self.tree)
        trajectory = {name: list(turns) for name, turns in (felt or {}).items()}
        rows = []
        for place, turn in enumerate(dialogue):
            name, text = turn.get("speaker", turn.get("role", "")), turn.get("text", turn.get("content", ""))
            own = trajectory.setdefault(name, [])
            prompt = self.prompts.tokens(dialogue, place, (biographies or {}).get(name, ""), own)
            scores = np.exp(reader.log_probabilities(prompt).cpu().double().numpy())
            best = int(scores.argmax())
            label = self.labels[best]
            own.append(FeltTurn(text, label))
            by_label = {each: float(score) for each, score in zip(self.labels, scores, strict=True)}
            rows.append({"speaker": name, "text": text, "label": label, "score": float(scores[best]), "scores": by_label})
        return rows
