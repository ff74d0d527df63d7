"""The PyTorch model of EmoNet: emotions of whole dialogues, aware of speakers.

Shapes: B dialogues, T turns, L tokens, S sequences (S = B in packed mode, one per turn in
per_turn mode), U distinct history utterances of M tokens, K history indices, N concepts
of a turn, H the width of the backbone, C emotions, M also the members of the classifier.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import nn
from transformers import AutoModel
from transformers.utils.generic import can_return_tuple

from .checkpoint.adapters import Base
from .checkpoint.base import EmoNetCheckpoint, backbone_state, is_public, resolve_backbone
from .checkpoint.files import hub_options
from .checkpoint.integrity import WeightsHeader, config_of
from .configuration_emonet import EmoNetConfig
from .context.base import ContextModule, ContextPart, TurnConcepts, build_context_module, import_system
from .context.running import run_context
from .errors import EmoNetError
from .inference.single_texts import classify_texts
from .layers.encoder import build_encoder, fill_encoders
from .layers.heads import HeadEnsemble, Standardizer, build_classifier, classify
from .layers.label_evidence import LabelEvidence, with_known_labels
from .layers.loss import weighted_loss
from .layers.outputs import EmoNetOutput, refuse_split_rows, states_asked_for
from .layers.speaker_memory import SpeakerMemory, reset_gru
from .layers.turn_attention import (
    drop_speakers,
    encode_by_length,
    encode_packed,
    encode_sequences,
    marker_speakers,
    pool_turns,
    rows_of_turns,
    utterance_turn_ids,
)
from .processing_emonet import EmoNetProcessor


class EmoNetPreTrainedModel(EmoNetCheckpoint):  # type: ignore[no-untyped-call]
    """Initialisation, pretrained backbones and frozen parts, for both model classes."""

    config_class = EmoNetConfig
    config: EmoNetConfig
    processor_class = EmoNetProcessor
    auto_map: ClassVar[dict[str, str]] = {
        "AutoConfig": "configuration_emonet.EmoNetConfig",
        "AutoModelForSequenceClassification": "modeling_emonet.EmoNetForSequenceClassification",
        "AutoProcessor": "processing_emonet.EmoNetProcessor",
    }
    base_model_prefix = "emonet"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = False  # it takes no block-causal mask
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # The base class leaves GRUs, bare parameters and buffers as uninitialised memory
        # when a checkpoint lacks them.
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, (nn.GRU, nn.GRUCell)):
            reset_gru(module)
        elif isinstance(module, (Standardizer, HeadEnsemble, ContextModule, ContextPart)):
            module.reset()

    @classmethod
    def from_backbone(cls, backbone: str, config: EmoNetConfig | None = None, **kwargs: Any) -> Any:
        """Build a new model on pretrained backbone weights.

        Args:
            backbone: A Hub id, a folder, or an embedded backbone (`minilm`, `smollm2`).
            config: A full configuration; without it, the remaining keywords make one
                around the backbone's.
            kwargs: `EmoNetConfig` fields, and loading options (`dtype`,
                `attn_implementation`, `revision`, `cache_dir`, `token` …).

        Raises:
            ValueError: if the checkpoint lacks encoder weights, which would be random.
        """
        source = hub_options(kwargs)
        load = {"dtype": torch.float32, **source}
        load |= {key: kwargs[key] for key in ("dtype", "attn_implementation") if key in kwargs}
        fields = {key: value for key, value in kwargs.items() if key not in load}
        path, name = resolve_backbone(backbone)
        if config is None:
            config = EmoNetConfig(text_config=config_of(path, **source), backbone=name, **fields)
        elif fields:
            raise EmoNetError(f"Pass config or its fields, not both: {', '.join(sorted(fields))}.")
        header = WeightsHeader.find(path, load)
        if header is not None:
            header.check(config.text_config, AutoModel.from_config)
        model = cls._from_config(  # type: ignore[no-untyped-call]
            config, dtype=load["dtype"], attn_implementation=load.get("attn_implementation")
        )
        state = backbone_state(path, config.text_config, **load)
        fill_encoders((model.base_model.encoder, model.base_model.memory_encoder), state, backbone)
        model.freeze()
        if config.freeze_backbone and is_public(path):
            model._base = Base.of(name, model.adapted)
        return model.eval()

    @classmethod
    def on_backbone(cls, backbone: str, config: EmoNetConfig, **load: Any) -> Any:
        return cls.from_backbone(backbone, config, **load)

    @property
    def base_model(self) -> "EmoNetModel":
        """The model without its classifier."""
        raise NotImplementedError

    @property
    def adapted(self) -> nn.Module:
        """The module that carries adapters."""
        return self.base_model.encoder

    @property
    def backbone_prefixes(self) -> tuple[str, ...]:
        memory = () if self.config.memory_encoder == "trained" else ("emonet.memory_encoder.",)
        return ("emonet.encoder.", *memory)

    @property
    def code_lookups(self) -> dict[Callable[..., Any], type]:
        context = self.base_model.context
        return {} if context is None else {import_system: type(context)}

    def get_input_embeddings(self) -> nn.Module:
        return self.base_model.encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.base_model.encoder.set_input_embeddings(value)

    def _resize_token_embeddings(self, *args: Any, **kwargs: Any) -> Any:
        embeddings: Any = super()._resize_token_embeddings(*args, **kwargs)  # type: ignore[no-untyped-call]
        if (memory_encoder := self.base_model.memory_encoder) is not None:
            known = memory_encoder.get_input_embeddings().num_embeddings
            rows = memory_encoder._resize_token_embeddings(*args, **kwargs).weight  # type: ignore[no-untyped-call]
            with torch.no_grad():  # both read a new token alike
                rows[known:] = embeddings.weight[known:]
        return embeddings

    def freeze(self) -> None:
        """Freeze the parts that the configuration calls frozen.

        `from_pretrained` does not keep `requires_grad`.
        """
        encoder, memory_encoder = self.base_model.encoder, self.base_model.memory_encoder
        if self.config.freeze_backbone:
            encoder.requires_grad_(False)
        if memory_encoder is not None and self.config.memory_encoder == "frozen":
            memory_encoder.requires_grad_(False)


class EmoNetModel(EmoNetPreTrainedModel):  # type: ignore[no-untyped-call]
    """Turn vectors of dialogues: backbone, identity, context module and memory."""

    def __init__(self, config: EmoNetConfig):
        super().__init__(config)
        self.encoder = build_encoder(config)
        self.memory_encoder = build_encoder(config) if config.separate_memory_encoder else None
        self.standardizer = Standardizer(config.hidden_size) if config.standardize else None
        self.memory_standardizer = (
            Standardizer(config.hidden_size)
            if config.standardize and config.speaker_memory != "none"
            else None
        )
        self.speaker_embedding: nn.Embedding | None = None
        if config.speaker_identity == "global":
            self.speaker_embedding = nn.Embedding(config.num_speakers, config.hidden_size)
        elif config.speaker_identity == "local" and config.identity_position == "turn":
            self.speaker_embedding = nn.Embedding(config.num_local_speakers, config.hidden_size)
        self.context = build_context_module(config)
        self.memory = SpeakerMemory(config) if config.speaker_memory != "none" else None
        self.label_evidence = LabelEvidence(config) if config.label_evidence else None
        self.post_init()  # type: ignore[no-untyped-call]
        self.freeze()

    @property
    def base_model(self) -> "EmoNetModel":
        """The model itself."""
        return self

    def train(self, mode: bool = True) -> "EmoNetModel":
        """Switch to training, with dropout off in frozen encoders: they never change."""
        super().train(mode)
        if self.config.freeze_backbone:
            self.encoder.eval()  # type: ignore[no-untyped-call]
        if self.memory_encoder is not None and self.config.memory_encoder == "frozen":
            self.memory_encoder.eval()  # type: ignore[no-untyped-call]
        return self

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        speaker_ids: torch.Tensor | None = None,
        turn_ids: torch.Tensor | None = None,
        read_mask: torch.Tensor | None = None,
        sequence_index: torch.Tensor | None = None,
        local_speaker_ids: torch.Tensor | None = None,
        turn_embeds: torch.Tensor | None = None,
        memory_input_ids: torch.Tensor | None = None,
        memory_attention_mask: torch.Tensor | None = None,
        memory_embeds: torch.Tensor | None = None,
        memory_index: torch.Tensor | None = None,
        concept_ids: torch.Tensor | None = None,
        concept_confidences: torch.Tensor | None = None,
        known_emotions: torch.Tensor | None = None,
        known_turns: torch.Tensor | None = None,
        known_speakers: torch.Tensor | None = None,
        use_later: torch.Tensor | bool = False,
        labels: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        output_hidden_states: bool | Sequence[int] | None = None,
        output_attentions: bool | None = None,
    ) -> EmoNetOutput:
        """Compute the turn vectors of a batch of dialogues.

        Args:
            input_ids: (S, L) tokens.
            attention_mask: (S, L) 1 for tokens, 0 for padding.
            speaker_ids: (B, T) global speaker ids, 0 for an unknown speaker, -1 where
                there is no turn. Without it, tokens are those of the plain tokenizer, a
                row is one turn of an unknown speaker, and results have no dimension T.
            turn_ids: (S, L) the turn of each token, -1 for none.
            read_mask: (S, L) 0 for tokens that are not pooled into their turn's vector
                (`pool_marker=False`).
            sequence_index: (B, T) each turn's sequence in per_turn mode, -1 for none.
            local_speaker_ids: (B, T) order of appearance in the dialogue, -1 for none.
            turn_embeds: (B, T, H) turn vectors of `encode_turns`, in place of tokens.
            memory_input_ids: (U, M) tokens of the distinct history utterances.
            memory_attention_mask: (U, M) their mask.
            memory_embeds: (U, H) vectors of `encode_memory`, in place of these tokens.
            memory_index: (B, T, K) rows of the memory, oldest first, -1 for none.
            concept_ids: (B, T, N) concepts of each turn's words, -1 for none
                (`context_module="ket"`).
            concept_confidences: (B, T, N) their confidences.
            known_emotions: (B, K, C) distributions, zeros for none, with
                `label_evidence`. K = T, unless the next two say whose they are.
            known_turns: (B, K) their turns, counted from the window's first.
            known_speakers: (B, K) the local ids of these turns' speakers.
            use_later: (B,) or for all: whether a turn may read those of later turns.
            labels: (B, T), in training, for a context module with its own loss, and for
                `label_evidence`, which shows random ones to the other turns.
            token_type_ids: (S, L), as plain tokenizers make them; read without
                `speaker_ids` only.
            output_hidden_states: Whether to return the backbone's states, or which.
            output_attentions: Whether to return its attention weights.

        Raises:
            ValueError: for tensors that the configuration needs and that are missing.
            EmoNetError: in `torch.nn.DataParallel`, where rows of `memory_index` or
                `sequence_index` are on another device.
        """
        options = states_asked_for(self.config, output_hidden_states, output_attentions)
        if speaker_ids is None:
            texts = {"input_ids": input_ids, "attention_mask": attention_mask, "turn_ids": turn_ids}
            texts |= {"turn_embeds": turn_embeds, "token_type_ids": token_type_ids}
            return cast(EmoNetOutput, classify_texts(self, labels, {**texts, **options}))
        if getattr(self, "_is_replica", False):
            refuse_split_rows(memory_index=memory_index, sequence_index=sequence_index)
        known_ids = drop_speakers(speaker_ids, self.config.speaker_dropout if self.training else 0)
        backbone: Mapping[str, Any] = {}
        if turn_embeds is None:
            tokens = (input_ids, attention_mask, turn_ids)
            turn_embeds, backbone = self._encode(*tokens, known_ids, sequence_index, read_mask, **options)
        states = self.with_identity(turn_embeds, known_ids, local_speaker_ids)
        auxiliary = None
        if self.context is not None:
            concepts = None
            if concept_ids is not None and concept_confidences is not None:
                concepts = TurnConcepts(concept_ids, concept_confidences)
            states = run_context(self.context, states, speaker_ids, local_speaker_ids, concepts)
            if self.context.has_auxiliary_loss and self.training and labels is not None:
                assert local_speaker_ids is not None
                auxiliary = self.context.auxiliary_losses(states, local_speaker_ids, speaker_ids >= 0, labels)
        if self.memory is not None:
            if memory_index is None:
                raise ValueError(
                    f"speaker_memory={self.config.speaker_memory!r} needs memory_index, "
                    "and memory_input_ids or memory_embeds (the processor makes them)."
                )
            if memory_embeds is None:
                memory_embeds = self.encode_memory(memory_input_ids, memory_attention_mask)
            states = self.with_memory(states, memory_embeds, memory_index)
        known = (known_emotions, known_turns, known_speakers, use_later)
        given = (local_speaker_ids, labels if self.training else None, *known)
        states, evidence = with_known_labels(self.label_evidence, states, *given)
        found = {name: backbone.get(name) for name in ("hidden_states", "attentions")}
        found |= {"auxiliary_losses": auxiliary, "evidence_logits": evidence}
        return EmoNetOutput(turn_states=states, **found)

    def with_identity(
        self, turn_embeds: torch.Tensor, speaker_ids: torch.Tensor, local_speaker_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """Standardise turn vectors (B, T, H) and add the speakers' embeddings.

        The embeddings are added with `identity_position="turn"` only.
        """
        # Cached vectors are float32; a replica of DataParallel can't tell its `dtype`.
        embeddings: Any = self.get_input_embeddings()
        states: torch.Tensor = turn_embeds.to(embeddings.weight.dtype)
        if self.standardizer is not None:
            states = self.standardizer(states)
        if self.speaker_embedding is None or self.config.identity_position != "turn":
            return states
        ids = speaker_ids if self.config.speaker_identity == "global" else local_speaker_ids
        if ids is None:
            raise ValueError("speaker_identity='local' at identity_position='turn' needs local_speaker_ids.")
        last = self.speaker_embedding.num_embeddings - 1
        identity: torch.Tensor = self.speaker_embedding(ids.clamp(0, last))
        return states + identity

    def with_memory(
        self, states: torch.Tensor, memory_embeds: torch.Tensor, memory_index: torch.Tensor
    ) -> torch.Tensor:
        """Fuse memory rows (U, H) into turn states (B, T, H).

        `memory_index` (B, T, K) has the rows of each turn's speaker, -1 for none.
        """
        assert self.memory is not None
        memory_embeds = memory_embeds.to(states.dtype)
        if self.memory_standardizer is not None:
            memory_embeds = self.memory_standardizer(memory_embeds)
        fused: torch.Tensor = self.memory(states, memory_embeds, memory_index)
        return fused

    def encode_turns(
        self,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        turn_ids: torch.Tensor | None,
        speaker_ids: torch.Tensor,
        sequence_index: torch.Tensor | None = None,
        read_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Encode tokens into the backbone's turn vectors (B, T, H); see `forward`."""
        tokens = (input_ids, attention_mask, turn_ids)
        return self._encode(*tokens, speaker_ids, sequence_index, read_mask)[0]

    def _encode(
        self,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        turn_ids: torch.Tensor | None,
        speaker_ids: torch.Tensor,
        sequence_index: torch.Tensor | None,
        read_mask: torch.Tensor | None,
        **options: Any,
    ) -> tuple[torch.Tensor, Mapping[str, Any]]:
        if input_ids is None or attention_mask is None or turn_ids is None:
            raise ValueError(
                "Give input_ids, attention_mask and turn_ids (the processor makes them), or turn_embeds."
            )
        embeds = self.encoder.get_input_embeddings()(input_ids)
        if self.speaker_embedding is not None and self.config.identity_position == "marker":
            embeds = embeds + self.marker_embeds(turn_ids, speaker_ids, sequence_index)
        inputs = (self.encoder, self.config, embeds, attention_mask, turn_ids)
        if sequence_index is None:
            return encode_packed(*inputs, read_mask, speaker_ids.shape[1], **options)
        vectors, output = encode_sequences(*inputs, **options)
        return rows_of_turns(vectors, sequence_index), output

    def encode_memory(
        self, input_ids: torch.Tensor | None, attention_mask: torch.Tensor | None, rows_per_pass: int = 64
    ) -> torch.Tensor:
        """Encode utterances (U, M) one by one into memory rows (U, H)."""
        if input_ids is None or attention_mask is None:
            raise ValueError("Give memory_input_ids and memory_attention_mask, or memory_embeds.")
        grad = self.config.memory_encoder != "frozen" and torch.is_grad_enabled()
        with torch.set_grad_enabled(grad):
            inputs = (input_ids, attention_mask)
            return encode_by_length(self.encode_utterances, inputs, attention_mask.sum(1), rows_per_pass)

    def encode_utterances(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Encode utterances (U, M) in one pass of the memory's encoder into (U, H)."""
        encoder = self.encoder if self.memory_encoder is None else self.memory_encoder
        hidden = encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        turn_ids = utterance_turn_ids(input_ids, attention_mask, self.config)
        return pool_turns(hidden, turn_ids, 1, self.config.pooling).squeeze(1)

    def marker_embeds(
        self, turn_ids: torch.Tensor, speaker_ids: torch.Tensor, sequence_index: torch.Tensor | None
    ) -> torch.Tensor:
        """Embed speakers at their turns' first tokens (S, L, H), with zeros elsewhere."""
        assert self.speaker_embedding is not None
        starts, speakers = marker_speakers(turn_ids, speaker_ids, sequence_index)
        embeds: torch.Tensor = self.speaker_embedding(speakers.clamp(0, self.config.num_speakers - 1))
        return embeds * starts.unsqueeze(-1).to(embeds.dtype)


_ARGUMENTS = inspect.signature(EmoNetModel.forward).parameters.keys()


class EmoNetForSequenceClassification(EmoNetPreTrainedModel):  # type: ignore[no-untyped-call]
    """EmoNet with its classifier: a distribution over emotions for every turn."""

    accepts_loss_kwargs = True  # Trainer then tells `forward` the labels of a whole step

    def __init__(self, config: EmoNetConfig):
        super().__init__(config)
        self.emonet = EmoNetModel(config)
        self.classifier = build_classifier(config)
        self.post_init()  # type: ignore[no-untyped-call]
        self.freeze()

    @property
    def base_model(self) -> EmoNetModel:
        """The model without its classifier."""
        return self.emonet

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        speaker_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **inputs: Any,
    ) -> EmoNetOutput:
        """Compute logits (B, T, C) and the loss from the inputs of `EmoNetModel`.

        Args:
            input_ids: (S, L), as there.
            attention_mask: (S, L), as there.
            speaker_ids: (B, T), as there; without it, each row of the plain tokenizer's
                `input_ids` (N, L) gets logits (N, C); labels are (N,).
            labels: (B, T), -100 for turns without a label.
            num_items_in_batch: The number of labels of an optimizer step, by which
                Trainer divides the loss of all its batches: their sum is then the
                weighted mean of the step, times the mean weight of its labels. Without
                it, the loss is the weighted mean of this batch.
            inputs: The other arguments of `EmoNetModel`.

        Raises:
            TypeError: for an argument of another name.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, **inputs}
        if unknown := inputs.keys() - _ARGUMENTS:
            raise TypeError(f"{type(self).__name__} got unexpected keyword arguments {sorted(unknown)}")
        if speaker_ids is None:
            inputs["num_items_in_batch"] = num_items_in_batch
            return cast(EmoNetOutput, classify_texts(self, labels, inputs))
        outputs = self.emonet(speaker_ids=speaker_ids, labels=labels, return_dict=True, **inputs)
        auxiliary = outputs.auxiliary_losses
        logits, members = classify(self.classifier, outputs.turn_states, outputs.evidence_logits)
        loss = None
        if labels is not None:
            scores = logits if members is None else members
            loss = weighted_loss(scores, labels, self.config.class_weights, auxiliary, num_items_in_batch)
        return EmoNetOutput(**{**outputs, "loss": loss, "logits": logits, "member_logits": members})

    # Names every tensor: the Trainer drops dataset columns that are not in the signature.
    forward.__signature__ = inspect.signature(EmoNetModel.forward)

    def prepare(self, dataset: Any, columns: Mapping[str, str] | None = None, **options: Any) -> Any:
        """Encode a dataset for `transformers.Trainer`, and set this model up for it.

        Args:
            dataset: A `DatasetDict`, a `Dataset` or a `pandas.DataFrame` with a row for
                each turn: `dialogue_id`, `speaker`, `text` and `emotion`.
            columns: Their columns, where they have other names: `{"text": "utterance"}`.
            options: Those of [`emonet.fine_tuning.prepare.prepare`].

        Returns:
            The encoded splits by name, or that of a single dataset, with `collator` and
            `compute_metrics` for the Trainer.
        """
        from .fine_tuning.prepare import prepare

        return prepare(self, dataset, columns, **options)

    def predict(self, dialogue: Any, **options: Any) -> Any:
        """Predict the emotion of every turn: calls [`EmoNetPipeline`] with this model.

        Args:
            dialogue: See [`EmoNetPipeline.__call__`].
            options: Passed on to it.

        Example:
            >>> model = AutoModel.from_pretrained(folder_or_id, trust_remote_code=True)
            >>> model.predict([{"speaker": "Maya", "text": "I'm so sorry."}])
        """
        from .pipeline_emonet import EmoNetPipeline

        return EmoNetPipeline(self, device=self.device)(dialogue, **options)
