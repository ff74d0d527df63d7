"""Classify turns by scoring label words after a prompt."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils.generic import can_return_tuple

from ..checkpoint.base import EmoNetCheckpoint, resolve_backbone
from ..checkpoint.integrity import check_backbone, config_of
from ..dialogue.names import SpeakerKinds, Speakers
from ..dialogue.spellings import SpeakerNames, with_one_name_each
from ..errors import EmoNetError
from ..inference.predict import Report
from ..layers.loss import weighted_loss
from ..layers.outputs import EmoNetOutput, refuse_split_rows, states_asked_for
from .configuration import PromptedEmoNetConfig, PromptSettings
from .label_tree import LabelTree
from .packing import tree_attention, tree_mask
from .processing import PromptedProcessor
from .prompts import PromptBuilder
from .session import TurnLabeller


class PromptedEmoNet(EmoNetCheckpoint):  # type: ignore[no-untyped-call]  # transformers
    """The prompted form: scores label words after one prompt a turn.

    No text is generated.

    Example:
        >>> settings = PromptSettings(window=6)
        >>> model = PromptedEmoNet.from_backbone("smollm2", labels, settings)
        >>> model.predict([{"speaker": "Theo", "text": "You threw away my sandwich?!"}])
    """

    config_class = PromptedEmoNetConfig
    config: PromptedEmoNetConfig
    processor_class = PromptedProcessor
    auto_map = {
        "AutoConfig": "prompted.PromptedEmoNetConfig",
        "AutoModelForSequenceClassification": "prompted.PromptedEmoNet",
        "AutoProcessor": "prompted.PromptedProcessor",
    }
    base_model_prefix = "language_model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    backbone_prefixes = ("language_model.",)

    def __init__(self, config: PromptedEmoNetConfig):
        super().__init__(config)
        self.language_model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config.text_config, trust_remote_code=False
        )
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_backbone(
        cls,
        backbone: str,
        labels: Sequence[str],
        settings: PromptSettings,
        speakers: Mapping[str, int] | None = None,
        **fields: Any,
    ) -> "PromptedEmoNet":
        """Build a model on a pretrained language model.

        Args:
            backbone: A Hub id, a folder or `smollm2`.
            labels: The label words, in order of their ids.
            settings: What a prompt holds.
            speakers: Name → id of known persons: their numbers in anonymous mode.
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
            label2id={label: index for index, label in enumerate(labels)},
            **fields,
        )
        model = cls.on_backbone(backbone, config, **load)
        model.processor = PromptedProcessor.from_backbone(path, config, speakers)
        return model

    @classmethod
    def on_backbone(cls, backbone: str, config: PromptedEmoNetConfig, **load: Any) -> "PromptedEmoNet":
        """Build a model of a configuration on pretrained weights.

        Args:
            backbone: A Hub id, a folder or `smollm2`.
            config: The model's configuration.
            load: Loading options of `AutoModelForCausalLM.from_pretrained`.
        """
        path, _ = resolve_backbone(backbone)
        load.setdefault("dtype", torch.float32)
        check_backbone(path, AutoModelForCausalLM)
        language_model = AutoModelForCausalLM.from_pretrained(path, trust_remote_code=False, **load)
        with torch.device("meta"):  # no memory for weights that are replaced at once
            model: PromptedEmoNet = cls._from_config(  # type: ignore[no-untyped-call]
                config, dtype=language_model.dtype
            )
        model.language_model = language_model
        model.eval()  # type: ignore[no-untyped-call]
        return model

    @property
    def labels(self) -> list[str]:
        """Label names, in order of their ids."""
        return self.config.label_names

    @property
    def tokenizer(self) -> Any:
        """The language model's tokenizer."""
        return self.processor.tokenizer

    @property
    def prompts(self) -> PromptBuilder:
        """What writes the prompts."""
        builder: PromptBuilder = self.processor.prompts
        return builder

    @property
    def tree(self) -> LabelTree:
        """The label words as tokens."""
        tree: LabelTree = self.processor.tree
        return tree

    @property
    def adapted(self) -> Any:
        """The transformer without its head, which gets the adapters."""
        return self.language_model.base_model

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.language_model.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module | None:
        embeddings: nn.Module | None = self.language_model.get_output_embeddings()  # type: ignore[no-untyped-call]
        return embeddings

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.language_model.set_output_embeddings(new_embeddings)  # type: ignore[no-untyped-call]

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | Sequence[int] | None = None,
        output_attentions: bool | None = None,
        position_ids: torch.Tensor | None = None,
        subtree_ends: torch.Tensor | None = None,
        read_index: torch.Tensor | None = None,
    ) -> EmoNetOutput:
        """Score the labels of a batch of prompts in one pass, for training.

        Args:
            input_ids: Prompts (B, L), padded on the right; or packed rows (R, L).
            attention_mask: 1 for tokens, 0 for padding (B, L); by default all are tokens.
                Packed rows have none.
            labels: Label ids (B, 1), or (N, 1) of N packed prompts; -100 is ignored in
                the loss.
            output_hidden_states: Whether to return the language model's hidden states.
                Their rows are all prompts with the first branch of the labels, then all
                with the second …; or the packed rows.
            output_attentions: Whether to return its attention weights, in the same rows.
            position_ids: Of packed rows (R, L): see [`packed_prompts`], as for the rest.
            subtree_ends: Of packed rows (R, L).
            read_index: Of packed prompts (N, branches).

        Returns:
            `logits` (B or N, 1, C), the log-probabilities of the labels, and the `loss`.

        Raises:
            EmoNetError: for texts in place of prompts.
        """
        opening = self.prompts.opening
        if input_ids[:, : len(opening)].tolist() != [opening] * len(input_ids):
            raise EmoNetError(
                "The prompted form reads prompts, not texts: call model.predict(text_or_dialogue), or "
                "pipeline('emotion-in-conversation', model=...) in place of text-classification."
            )
        options = states_asked_for(self.config, output_hidden_states, output_attentions)
        if subtree_ends is None or read_index is None:
            input_ids, read_index = self._by_branch(input_ids, attention_mask)
        else:
            if getattr(self, "_is_replica", False):
                refuse_split_rows(read_index=read_index)
            mask = tree_mask(subtree_ends, self.language_model.dtype)
            options |= {"attention_mask": mask, "position_ids": position_ids}
        with tree_attention(self.adapted):
            states = self.adapted(input_ids=input_ids, use_cache=False, **options)
        read = states.last_hidden_state.flatten(0, 1)[read_index]
        vocabulary = self.language_model.get_output_embeddings()(read)  # type: ignore[no-untyped-call]
        logits = self.tree.log_probabilities(vocabulary.unbind(1)).unsqueeze(1)
        loss = None
        if labels is not None:
            loss = weighted_loss(logits, labels, self.config.class_weights)
        return EmoNetOutput(
            loss=loss, logits=logits, hidden_states=states.hidden_states, attentions=states.attentions
        )

    def _by_branch(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Make a row of each prompt and branch of the labels, and the `read_index`.

        A row is the prompt and the tokens that lead to the branch; the state of the last
        one scores the tokens that may follow. The padding needs no mask: it stands where
        a causal model does not look.
        """
        lengths = torch.full_like(input_ids[:, 0], input_ids.shape[1])
        if attention_mask is not None:
            lengths = attention_mask.sum(1)
        branches = [prefix for prefix, _ in self.tree.branches]
        rows, ends = [], []
        for branch, prefix in enumerate(branches):
            padded = nn.functional.pad(
                input_ids, (0, max(map(len, branches))), value=self.tokenizer.pad_token_id
            )
            for offset, token in enumerate(prefix):
                padded[torch.arange(len(padded)), lengths + offset] = token
            first = torch.arange(len(padded), device=lengths.device) + branch * len(padded)
            rows.append(padded)
            ends.append(first * padded.shape[1] + lengths + len(prefix) - 1)
        return torch.cat(rows), torch.stack(ends, dim=1)

    def predict(self, dialogue: Any, **options: Any) -> Any:
        """Label every turn of a dialogue: see [`EmoNetPipeline.__call__`]."""
        from ..pipeline_emonet import EmoNetPipeline

        return EmoNetPipeline(self, device=self.device)(dialogue, **options)

    def predict_dialogues(
        self,
        dialogues: Sequence[Sequence[Mapping[str, Any]]],
        histories: Sequence[Mapping[str, Sequence[str]]] | None = None,
        processor: PromptedProcessor | None = None,
        progress: bool = False,
        report: Report | None = None,
        speakers: Speakers | Sequence[SpeakerKinds] = "auto",
    ) -> list[list[dict[str, Any]]]:
        """Return `label`, `score` and `scores` of every turn.

        Trajectories hold the model's own predictions. Without `histories` they continue
        from one dialogue to the next. See [`inference.predict_dialogues`] for the
        arguments.

        Raises:
            EmoNetError: If a dialogue has no turns.
        """
        labeller = self._labeller(processor)
        known = labeller.processor.speakers
        dialogues, histories, kinds = with_one_name_each(dialogues, histories, known, speakers)
        done, total = 0, sum(map(len, dialogues))
        rows: list[list[dict[str, Any]]] = []
        for index, turns in enumerate(tqdm(dialogues, disable=not progress, desc="dialogues")):
            if not turns:
                raise _empty(index)
            if histories is not None:
                labeller.start(histories[index])
            rows.append([])
            for result in labeller.label_dialogue(turns, kinds):
                rows[-1].append(result)
                done += 1
                if report is not None:
                    report("turns", done, total)
        return rows

    def stream_dialogues(
        self,
        dialogues: Iterable[Iterable[Mapping[str, Any]]],
        processor: PromptedProcessor | None = None,
        alone: bool = False,
        speakers: Speakers = "auto",
    ) -> Iterator[dict[str, Any]]:
        """Yield the results of `predict_dialogues` turn by turn.

        Args:
            dialogues: As for `predict_dialogues`; one dialogue at a time is in memory.
            processor: As for `predict_dialogues`.
            alone: Whether every dialogue has an empty history of its own.
            speakers: As for `predict_dialogues`; also a decision

        Raises:
            EmoNetError: If a dialogue has no turns.
        """
        labeller = self._labeller(processor)
        names = SpeakerNames(labeller.processor.speakers, speakers)
        for index, turns in enumerate(dialogues):
            if alone:
                names = SpeakerNames(labeller.processor.speakers, speakers)
                labeller.start({})
            dialogue = names.turns(list(turns))
            if not dialogue:
                raise _empty(index)
            yield from labeller.label_dialogue(dialogue, names.kinds)

    def _labeller(self, processor: PromptedProcessor | None) -> TurnLabeller:
        self.eval()  # type: ignore[no-untyped-call]
        return TurnLabeller(self, processor or self.processor)


def _empty(dialogue: int) -> EmoNetError:
    return EmoNetError(
        f'Dialogue {dialogue} is empty; it needs at least one turn: [{{"speaker": "Ann", "text": "Hi."}}].'
    )
