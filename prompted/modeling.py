"""PromptedEmoNet: a causal language model that names a turn's emotion by scoring label
words behind a prompt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM

from ..checkpoint.base import EmoNetCheckpoint, resolve_backbone
from ..checkpoint.integrity import check_backbone, config_of
from ..errors import EmoNetError
from ..inference.predict import Report
from ..layers.heads import weighted_cross_entropy
from ..modeling_emonet import EmoNetOutput
from .configuration import PromptedEmoNetConfig, PromptSettings
from .label_tree import LabelTree
from .processing import PromptedProcessor
from .prompts import PromptBuilder
from .session import TurnLabeller


class PromptedEmoNet(EmoNetCheckpoint):
    """The prompted read-out: one prompt a turn, its answer scored over the label words
    and never read from free text.

    Example:
        >>> model = PromptedEmoNet.from_backbone("smollm2", labels, PromptSettings(window=6))
        >>> model.predict([{"speaker": "Monica", "text": "We had a deal!"}])
    """

    config_class = PromptedEmoNetConfig
    config: PromptedEmoNetConfig
    processor_class = PromptedProcessor
    auto_map = {
        "AutoConfig": "prompted_configuration.PromptedEmoNetConfig",
        "AutoModelForSequenceClassification": "prompted_modeling.PromptedEmoNet",
        "AutoProcessor": "prompted_processing.PromptedProcessor",
    }
    base_model_prefix = "language_model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    backbone_prefixes = ("language_model.",)

    def __init__(self, config: PromptedEmoNetConfig):
        super().__init__(config)
        self.language_model: Any = AutoModelForCausalLM.from_config(
            config.text_config, trust_remote_code=False
        )
        self.post_init()

    @classmethod
    def from_backbone(
        cls,
        backbone: str,
        labels: Sequence[str],
        settings: PromptSettings,
        speakers: Mapping[str, int] | None = None,
        **fields: Any,
    ) -> "PromptedEmoNet":
        """On a pretrained language model: a Hub id, a folder or `smollm2`.

        Args:
            labels: The label words, in order of their ids. settings: What a prompt holds.
            speakers: Ids of known persons, which in anonymous mode are their numbers.
            fields: Further `PromptedEmoNetConfig` fields, and loading options (`dtype`,
                `attn_implementation`, `quantization_config`).
        """
        load = {
            name: fields.pop(name)
            for name in ("dtype", "attn_implementation", "quantization_config")
            if name in fields
        }
        path, name = resolve_backbone(backbone)
        config = PromptedEmoNetConfig(
            text_config=config_of(path),
            backbone=name,
            prompts=asdict(settings),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            **fields,
        )
        model = cls.on_backbone(backbone, config, **load)
        model.processor = PromptedProcessor.from_backbone(path, config, speakers)
        return model

    @classmethod
    def on_backbone(cls, backbone: str, config: PromptedEmoNetConfig, **load: Any) -> "PromptedEmoNet":
        path, _ = resolve_backbone(backbone)
        load.setdefault("dtype", torch.float32)
        check_backbone(path, AutoModelForCausalLM)
        language_model = AutoModelForCausalLM.from_pretrained(path, trust_remote_code=False, **load)
        with torch.device("meta"):  # nothing is made that would be replaced at once
            model = cls._from_config(config, dtype=language_model.dtype)
        model.language_model = language_model
        return model.eval()

    @property
    def labels(self) -> list[str]:
        return self.config.label_names

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def prompts(self) -> PromptBuilder:
        return self.processor.prompts

    @property
    def tree(self) -> LabelTree:
        return self.processor.tree

    @property
    def adapted(self) -> Any:
        """The transformer without its head, which adapters are put on."""
        return self.language_model.base_model

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> EmoNetOutput:
        """Label scores of a batch of prompts, padded on the right, in one pass; for
        training.

        Args:
            input_ids / attention_mask: (B, L). labels: (B, 1), -100 where nothing is to
                be learnt.

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
        # Behind a row's last token nothing is read and, in a causal model, nothing looks:
        # the padding needs no mask.
        hidden = self.adapted(input_ids=torch.cat(rows), use_cache=False).last_hidden_state
        vocabulary = self.language_model.get_output_embeddings()(hidden[torch.arange(len(ends)), ends])
        logits = self.tree.log_probabilities(vocabulary.split(len(input_ids))).unsqueeze(1)
        loss = None
        if labels is not None:
            total, weight = weighted_cross_entropy(logits, labels, self.config.class_weights)
            loss = total / weight.clamp(min=torch.finfo(torch.float32).tiny)
        return EmoNetOutput(loss=loss, logits=logits)

    def predict(self, dialogue: Any, **options: Any) -> Any:
        """Emotion of every turn, as the pipeline gives it: see
        [`EmoNetPipeline.__call__`] for input and options.
        """
        from ..pipeline_emonet import EmoNetPipeline

        return EmoNetPipeline(self, device=self.device)(dialogue, **options)

    def predict_dialogues(
        self,
        dialogues: Sequence[Sequence[Mapping[str, Any]]],
        histories: Sequence[Mapping[str, Sequence[str]]] | None = None,
        processor: PromptedProcessor | None = None,
        progress: bool = False,
        report: Report | None = None,
    ) -> list[list[dict[str, Any]]]:
        """`label`, `score`, `scores` of every turn; see [`inference.predict_dialogues`].

        A trajectory goes on with the model's own predictions, and without `histories`
        from one dialogue to the next.
        """
        self.eval()
        labeller = TurnLabeller(self, processor or self.processor)
        done, whole = 0, sum(map(len, dialogues))
        rows: list[list[dict[str, Any]]] = []
        for number, turns in enumerate(tqdm(dialogues, disable=not progress, desc="dialogues")):
            if not turns:
                raise EmoNetError('A dialogue needs at least one turn: [{"speaker": "Ann", "text": "Hi."}].')
            if histories is not None:
                labeller.start(histories[number])
            rows.append([])
            for place in range(len(turns)):
                rows[-1].append(labeller.label(turns, place))
                done += 1
                if report is not None:
                    report("turns", done, whole)
            labeller.end_dialogue()
        return rows
