"""The PyTorch model of EmoNet: emotions of whole dialogues, aware of speakers.

Shapes: B dialogues, T turns, L tokens, S sequences (S = B in packed mode, one per turn in
per_turn mode), U distinct history utterances of M tokens, K history indices, N concepts
of a turn, H the width of the backbone, C emotions, M also the members of the classifier.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModel
from transformers.utils.generic import ModelOutput

from .checkpoint.adapters import Base
from .checkpoint.base import EmoNetCheckpoint, backbone_state, is_public, resolve_backbone
from .checkpoint.files import hub_options
from .checkpoint.integrity import WeightsHeader, config_of
from .configuration_emonet import EmoNetConfig
from .context.base import ContextModule, ContextPart, TurnConcepts, build_context_module, import_system
from .errors import EmoNetError
from .inference.single_texts import classify_texts
from .layers.encoder import build_encoder
from .layers.heads import HeadEnsemble, Standardizer, build_classifier
from .layers.loss import weighted_auxiliary, weighted_cross_entropy
from .layers.speaker_memory import SpeakerMemory
from .layers.turn_attention import encode_sequences, pool_turns, run_encoder
from .processing_emonet import EmoNetProcessor


@dataclass
class EmoNetOutput(ModelOutput):
    """Result of a forward pass.

    Attributes:
        loss: Weighted cross entropy over the labelled turns, in training with the loss of
            the context module, divided by the total weight; None without labels.
        logits: (B, T, C), one distribution per turn; meaningless where there is no turn.
        turn_states: (B, T, H), the input of the classifier.
        member_logits: (B, T, M, C), the logits of each of several classifiers
            (`head_members`), which are trained separately.
        auxiliary_losses: (B, T), the context module's own loss of each turn, in training
            with labels.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    turn_states: torch.Tensor | None = None
    member_logits: torch.Tensor | None = None
    auxiliary_losses: torch.Tensor | None = None


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
            for name, parameter in module.named_parameters(recurse=False):
                if "bias" in name:
                    nn.init.zeros_(parameter)
                elif "weight_hh" in name:
                    nn.init.orthogonal_(parameter)
                else:
                    nn.init.xavier_uniform_(parameter)
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
        for encoder in filter(None, (model.base_model.encoder, model.base_model.memory_encoder)):
            missing = encoder.load_state_dict(state, strict=False).missing_keys
            if missing:
                raise ValueError(f"{backbone!r} lacks backbone weights, for example {missing[0]!r}.")
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
        self.post_init()  # type: ignore[no-untyped-call]
        self.freeze()

    @property
    def base_model(self) -> "EmoNetModel":
        """The model itself."""
        return self

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.encoder.set_input_embeddings(value)

    def train(self, mode: bool = True) -> "EmoNetModel":
        """Switch to training, with dropout off in frozen encoders: they never change."""
        super().train(mode)
        if self.config.freeze_backbone:
            self.encoder.eval()  # type: ignore[no-untyped-call]
        if self.memory_encoder is not None and self.config.memory_encoder == "frozen":
            self.memory_encoder.eval()  # type: ignore[no-untyped-call]
        return self

    def forward(
        self,
        speaker_ids: torch.Tensor | None = None,
        *,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
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
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> EmoNetOutput:
        """Compute the turn vectors of a batch of dialogues.

        Args:
            speaker_ids: (B, T) global speaker ids, 0 for an unknown speaker, -1 where
                there is no turn. Without it, tokens are those of the plain tokenizer, a
                row is one turn of an unknown speaker, and results have no dimension T.
            input_ids: (S, L) tokens.
            attention_mask: (S, L) 1 for tokens, 0 for padding.
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
            labels: (B, T), in training, for a context module with its own loss.

        Raises:
            ValueError: for tensors that the configuration needs and that are missing.
        """
        if speaker_ids is None:
            tensors = {"input_ids": input_ids, "attention_mask": attention_mask, "turn_ids": turn_ids}
            tensors = {**tensors, "turn_embeds": turn_embeds, **kwargs}
            return cast(EmoNetOutput, classify_texts(self, labels, tensors))
        known_ids = self._with_speaker_dropout(speaker_ids)
        if turn_embeds is None:
            turn_embeds = self.encode_turns(
                input_ids, attention_mask, turn_ids, known_ids, sequence_index, read_mask
            )
        states = self.with_identity(turn_embeds, known_ids, local_speaker_ids)
        auxiliary = None
        if self.context is not None:
            concepts = None
            if concept_ids is not None and concept_confidences is not None:
                concepts = TurnConcepts(concept_ids, concept_confidences)
            states = self.in_context(states, speaker_ids, local_speaker_ids, concepts)
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
        return EmoNetOutput(turn_states=states, auxiliary_losses=auxiliary)

    def in_context(
        self,
        states: torch.Tensor,
        speaker_ids: torch.Tensor,
        local_speaker_ids: torch.Tensor | None,
        concepts: TurnConcepts | None = None,
    ) -> torch.Tensor:
        """Run the context module over turn vectors (B, T, H)."""
        assert self.context is not None
        if local_speaker_ids is None:
            if self.context.uses_speakers:
                raise ValueError(
                    f"context_module={self.config.context_module!r} needs local_speaker_ids "
                    "(the processor makes them)."
                )
            local_speaker_ids = speaker_ids
        knowledge = {"concepts": concepts} if self.context.uses_concepts else {}
        contextual: torch.Tensor = self.context(states, local_speaker_ids, speaker_ids >= 0, **knowledge)
        return contextual

    def with_identity(
        self, turn_embeds: torch.Tensor, speaker_ids: torch.Tensor, local_speaker_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """Standardise turn vectors (B, T, H) and add the speakers' embeddings.

        The embeddings are added with `identity_position="turn"` only.
        """
        # Cached vectors are float32, whatever the model's dtype.
        states: torch.Tensor = turn_embeds.to(self.dtype)
        if self.standardizer is not None:
            states = self.standardizer(states)
        if self.speaker_embedding is None or self.config.identity_position != "turn":
            return states
        ids = speaker_ids if self.config.speaker_identity == "global" else local_speaker_ids
        if ids is None:
            raise ValueError("speaker_identity='local' at identity_position='turn' needs local_speaker_ids.")
        identity: torch.Tensor = self.speaker_embedding(
            ids.clamp(0, self.speaker_embedding.num_embeddings - 1)
        )
        return states + identity

    def with_memory(
        self, states: torch.Tensor, memory_embeds: torch.Tensor, memory_index: torch.Tensor
    ) -> torch.Tensor:
        """Fuse the speakers' memory into turn states.

        Args:
            states: (B, T, H).
            memory_embeds: (U, H) memory rows.
            memory_index: (B, T, K) the rows of each turn's speaker, -1 for none.

        Returns:
            (B, T, H).
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
        if input_ids is None or attention_mask is None or turn_ids is None:
            raise ValueError(
                "Give input_ids, attention_mask and turn_ids (the processor makes them), or turn_embeds."
            )
        embeds = self.encoder.get_input_embeddings()(input_ids)
        if self.speaker_embedding is not None and self.config.identity_position == "marker":
            embeds = embeds + self.marker_embeds(turn_ids, speaker_ids, sequence_index)
        if sequence_index is None:
            hidden = run_encoder(self.encoder, self.config, embeds, attention_mask, turn_ids)
            if read_mask is not None:
                turn_ids = turn_ids.masked_fill(read_mask == 0, -1)
            return pool_turns(hidden, turn_ids, speaker_ids.shape[1], self.config.pooling)
        vectors = encode_sequences(self.encoder, self.config, embeds, attention_mask, turn_ids)
        # -1 marks a missing turn: row 0 is read in its place and zeroed.
        return vectors[sequence_index.clamp(min=0)] * (sequence_index >= 0).unsqueeze(-1).to(vectors.dtype)

    def encode_memory(
        self, input_ids: torch.Tensor | None, attention_mask: torch.Tensor | None, rows_per_pass: int = 64
    ) -> torch.Tensor:
        """Encode utterances (U, M) one by one into memory rows (U, H)."""
        if input_ids is None or attention_mask is None:
            raise ValueError("Give memory_input_ids and memory_attention_mask, or memory_embeds.")
        grad = self.config.memory_encoder != "frozen" and torch.is_grad_enabled()
        with torch.set_grad_enabled(grad):
            # Most utterances are short and a few are long: batches of similar length need
            # less padding.
            lengths = attention_mask.sum(1)
            order = lengths.argsort()
            vectors = []
            for rows in torch.split(order, rows_per_pass):
                longest = max(1, int(lengths[rows].max()))
                vectors.append(
                    self.encode_utterances(input_ids[rows, :longest], attention_mask[rows, :longest])
                )
            return torch.cat(vectors)[order.argsort()]

    def encode_utterances(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Encode utterances (U, M) in one pass of the memory's encoder into (U, H)."""
        encoder = self.encoder if self.memory_encoder is None else self.memory_encoder
        hidden = encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # Each utterance is pooled as the only turn of its sequence: 0 for its tokens, -1
        # for padding and a decoder's bos token.
        turn_ids = torch.where(attention_mask.bool(), 0, -1)
        bos_token_id = self.config.text_config.bos_token_id
        if self.config.is_decoder_backbone and bos_token_id is not None:
            turn_ids[:, 0].masked_fill_(input_ids[:, 0] == bos_token_id, -1)
        return pool_turns(hidden, turn_ids, 1, self.config.pooling).squeeze(1)

    def _with_speaker_dropout(self, speaker_ids: torch.Tensor) -> torch.Tensor:
        if not self.training or self.config.speaker_dropout <= 0:
            return speaker_ids
        dropped = torch.rand(speaker_ids.shape, device=speaker_ids.device) < self.config.speaker_dropout
        return torch.where(dropped & (speaker_ids > 0), 0, speaker_ids)

    def marker_embeds(
        self, turn_ids: torch.Tensor, speaker_ids: torch.Tensor, sequence_index: torch.Tensor | None
    ) -> torch.Tensor:
        """Embed speakers at their turns' first tokens (S, L, H), with zeros elsewhere."""
        assert self.speaker_embedding is not None
        if sequence_index is not None:
            # Sequences are numbered across dialogues in per_turn mode: give each one the
            # speakers (T) of its dialogue, in the order of the sequences.
            dialogue, _ = torch.nonzero(sequence_index >= 0, as_tuple=True)
            order = sequence_index[sequence_index >= 0].argsort()
            speaker_ids = speaker_ids[dialogue[order]]
        previous = F.pad(turn_ids, (1, 0), value=-1)[:, :-1]
        starts = (turn_ids >= 0) & (turn_ids != previous)
        ids = speaker_ids.gather(1, turn_ids.clamp(min=0)).clamp(0, self.config.num_speakers - 1)
        embeds: torch.Tensor = self.speaker_embedding(ids)
        return embeds * starts.unsqueeze(-1).to(embeds.dtype)


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

    def get_input_embeddings(self) -> nn.Module:
        return self.emonet.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.emonet.set_input_embeddings(value)

    def forward(
        self,
        speaker_ids: torch.Tensor | None = None,
        *,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **inputs: torch.Tensor | None,
    ) -> EmoNetOutput:
        """Compute logits (B, T, C) and the loss from the inputs of `EmoNetModel`.

        Args:
            speaker_ids: (B, T), as there; without it, each row of the plain tokenizer's
                `input_ids` (N, L) gets logits (N, C); labels are (N,).
            labels: (B, T), -100 for turns without a label.
            num_items_in_batch: The number of labels of an optimizer step, by which
                Trainer divides the loss of all its batches: their sum is then the
                weighted mean of the step, times the mean weight of its labels. Without
                it, the loss is the weighted mean of this batch.
            inputs: The other tensors.
        """
        if speaker_ids is None:
            return cast(
                EmoNetOutput,
                classify_texts(self, labels, {**inputs, "num_items_in_batch": num_items_in_batch}),
            )
        outputs = self.emonet(speaker_ids, labels=labels, **inputs)
        states, auxiliary = outputs.turn_states, outputs.auxiliary_losses
        if isinstance(self.classifier, HeadEnsemble):
            members = self.classifier.member_logits(states)
            logits = self.classifier.averaged(members)
        else:
            members, logits = None, self.classifier(states)
        loss = None
        if labels is not None:
            loss_sum, weight_sum = weighted_cross_entropy(
                logits if members is None else members, labels, self.config.class_weights
            )
            if auxiliary is not None:
                loss_sum = loss_sum + weighted_auxiliary(auxiliary, labels, self.config.class_weights)
            if num_items_in_batch is None:
                loss = loss_sum / weight_sum.clamp(min=torch.finfo(torch.float32).tiny)
            else:
                loss = loss_sum / num_items_in_batch
        return EmoNetOutput(
            loss=loss, logits=logits, turn_states=states, member_logits=members, auxiliary_losses=auxiliary
        )

    # Names every tensor: the Trainer drops dataset columns that are not in the signature.
    forward.__signature__ = inspect.signature(EmoNetModel.forward)  # type: ignore[attr-defined]

    def prepare(self, dataset: Any, columns: Mapping[str, str] | None = None, **options: Any) -> Any:
        """Encode a dataset for `transformers.Trainer`, and set this model up for it.

        Args:
            dataset: A `DatasetDict`, a `Dataset` or a `pandas.DataFrame` with a row for
                each turn: `dialogue_id`, `speaker`, `text` and `emotion`.
            columns: Their columns, where they have other names: `{"text": "utterance"}`.
            options: Those of [`emonet.fine_tuning.prepare.prepare`], as
                `class_weighting`, `new_speakers`, `speaker_memory`.

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
