"""EmoNetModel and EmoNetForSequenceClassification: a speaker-aware emotion model over
whole dialogues.

B dialogues, T turns, L tokens, S sequences (S = B when packed, one a turn in per_turn
mode), U distinct history utterances of M tokens, K history places, H the backbone's
width, C emotions.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModel
from transformers.utils import ModelOutput, logging

from .checkpoint.base import EmoNetCheckpoint, resolve_backbone
from .checkpoint.files import hub_options
from .checkpoint.integrity import WeightsHeader, config_of
from .configuration_emonet import EmoNetConfig
from .context.base import ContextModule, ContextPart, TurnConcepts, build_context_module, import_system
from .errors import EmoNetError
from .layers.heads import (
    HeadEnsemble,
    Standardizer,
    build_classifier,
    weighted_auxiliary,
    weighted_cross_entropy,
)
from .layers.speaker_memory import SpeakerMemory
from .layers.turn_attention import encode_sequences, pool_turns, run_encoder
from .processing_emonet import EmoNetProcessor


@dataclass
class EmoNetOutput(ModelOutput):
    """Result of a forward pass.

    Attributes:
        loss: Weighted cross entropy over the labelled turns, and in training what the
            context module adds to it, normalised by their total weight; None without
            labels.
        logits: (B, T, C), one distribution a turn; rows without a turn hold numbers
            without meaning.
        turn_states: (B, T, H), what the classifier read.
        member_logits: (B, T, M, C), of each classifier where there are several
            (`head_members`); they are trained apart.
        auxiliary_losses: (B, T), a context module's own loss of each turn, in training
            with labels.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    turn_states: torch.Tensor | None = None
    member_logits: torch.Tensor | None = None
    auxiliary_losses: torch.Tensor | None = None


class EmoNetPreTrainedModel(EmoNetCheckpoint):
    config_class = EmoNetConfig
    config: EmoNetConfig
    processor_class = EmoNetProcessor
    auto_map = {
        "AutoConfig": "configuration_emonet.EmoNetConfig",
        "AutoModelForSequenceClassification": "modeling_emonet.EmoNetForSequenceClassification",
        "AutoProcessor": "processing_emonet.EmoNetProcessor",
    }
    base_model_prefix = "emonet"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = False  # it has no form of a block-causal mask
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # The base class leaves GRUs, bare parameters and buffers as uninitialised memory
        # when a checkpoint lacks them.
        super()._init_weights(module)
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
        """A new model on pretrained backbone weights.

        Args:
            backbone: A Hub id, a folder, or an embedded backbone (`minilm`, `smollm2`).
            config: A full configuration; without it, the remaining keywords make one
                around the backbone's.
            kwargs: `EmoNetConfig` fields, and loading options (`dtype`,
                `attn_implementation`, and where files
                are fetched from: `revision`, `cache_dir`, `token`, `local_files_only` …).

        Raises:
            ValueError: if the checkpoint lacks encoder weights (the model would be random
                there).
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
        model = cls._from_config(
            config, dtype=load["dtype"], attn_implementation=load.get("attn_implementation")
        )
        state = _load_encoder_state(path, config, load)
        base = getattr(model, "emonet", model)
        for encoder in filter(None, (base.encoder, base.memory_encoder)):
            missing = encoder.load_state_dict(state, strict=False).missing_keys
            if missing:
                raise ValueError(f"{backbone!r} lacks backbone weights, for example {missing[0]!r}.")
        model.freeze()
        return model.eval()

    @classmethod
    def on_backbone(cls, backbone: str, config: EmoNetConfig, **load: Any) -> Any:
        return cls.from_backbone(backbone, config, **load)

    @property
    def adapted(self) -> nn.Module:
        """The module that carries adapters."""
        base: Any = getattr(self, "emonet", self)
        return base.encoder

    @property
    def backbone_prefixes(self) -> tuple[str, ...]:
        memory = () if self.config.memory_encoder == "trained" else ("emonet.memory_encoder.",)
        return ("emonet.encoder.", *memory)

    @property
    def code_lookups(self) -> dict[Callable[..., Any], type]:
        base: Any = getattr(self, "emonet", self)
        return {} if base.context is None else {import_system: type(base.context)}

    def freeze(self) -> None:
        """Mark as untrainable what the configuration calls frozen (`from_pretrained`
        forgets `requires_grad`).
        """
        base: Any = getattr(self, "emonet", self)
        if self.config.freeze_backbone:
            base.encoder.requires_grad_(False)
        if base.memory_encoder is not None and self.config.memory_encoder == "frozen":
            base.memory_encoder.requires_grad_(False)


class EmoNetModel(EmoNetPreTrainedModel):
    """Backbone, global speaker identity, context module and speaker memory: dialogues in,
    turn vectors out.
    """

    def __init__(self, config: EmoNetConfig):
        super().__init__(config)
        self.encoder: Any = _build_encoder(config)
        self.memory_encoder: Any = _build_encoder(config) if config.separate_memory_encoder else None
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
        self.post_init()
        self.freeze()

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.encoder.set_input_embeddings(value)

    def train(self, mode: bool = True) -> "EmoNetModel":
        """Training mode, with dropout off inside frozen encoders: a frozen encoder is a
        fixed function.
        """
        super().train(mode)
        if self.config.freeze_backbone:
            self.encoder.eval()
        if self.memory_encoder is not None and self.config.memory_encoder == "frozen":
            self.memory_encoder.eval()
        return self

    def forward(
        self,
        speaker_ids: torch.Tensor,
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
        """Turn vectors of a batch of dialogues.

        Args:
            speaker_ids: (B, T) global speaker ids, 0 for an unknown person, -1 where
                there is no turn.
            input_ids / attention_mask: (S, L) tokens.
            turn_ids: (S, L) the turn a token belongs to, -1 for none.
            read_mask: (S, L) 0 for tokens that are not read into their turn's vector
                (`pool_marker=False`).
            sequence_index: (B, T) the sequence of each turn in per_turn mode, -1 for
                none.
            local_speaker_ids: (B, T) order of appearance in the dialogue, -1 for none.
            turn_embeds: (B, T, H) turn vectors computed before by `encode_turns`, in
                place of tokens.
            memory_input_ids / memory_attention_mask: (U, M) the distinct history
                utterances, or
            memory_embeds: (U, H) their vectors computed before by `encode_memory`.
            memory_index: (B, T, K) rows of the memory, oldest first, -1 for none.
            concept_ids / concept_confidences: (B, T, C) concepts of each turn's words, -1
                for none (`context_module="ket"`).
            labels: (B, T), for a context module with a loss of its own, in training.
        """
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
                    f"speaker_memory={self.config.speaker_memory!r} needs memory_index and the memory's rows."
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
        """(B, T, H) turn vectors → what the context module makes of them."""
        assert self.context is not None
        if local_speaker_ids is None:
            if self.context.uses_speakers:
                raise ValueError(
                    f"context_module={self.config.context_module!r} needs local_speaker_ids (the processor gives them)."
                )
            local_speaker_ids = speaker_ids
        knowledge = {"concepts": concepts} if self.context.uses_concepts else {}
        return self.context(states, local_speaker_ids, speaker_ids >= 0, **knowledge)

    def with_identity(
        self, turn_embeds: torch.Tensor, speaker_ids: torch.Tensor, local_speaker_ids: torch.Tensor | None
    ) -> torch.Tensor:
        """(B, T, H) read-outs → standardised, with the speaker's embedding where it is
        added behind the backbone.
        """
        turn_embeds = turn_embeds.to(self.dtype)  # cached vectors are float32, whatever the model is
        states = turn_embeds if self.standardizer is None else self.standardizer(turn_embeds)
        if self.speaker_embedding is None or self.config.identity_position != "turn":
            return states
        ids = speaker_ids if self.config.speaker_identity == "global" else local_speaker_ids
        if ids is None:
            raise ValueError("speaker_identity='local' at identity_position='turn' needs local_speaker_ids.")
        return states + self.speaker_embedding(ids.clamp(0, self.speaker_embedding.num_embeddings - 1))

    def with_memory(
        self, states: torch.Tensor, memory_embeds: torch.Tensor, memory_index: torch.Tensor
    ) -> torch.Tensor:
        """(B, T, H) turn states, (U, H) memory rows, (B, T, K) their places → states with
        the speaker's behaviour.
        """
        assert self.memory is not None
        memory_embeds = memory_embeds.to(states.dtype)
        if self.memory_standardizer is not None:
            memory_embeds = self.memory_standardizer(memory_embeds)
        return self.memory(states, memory_embeds, memory_index)

    def encode_turns(
        self,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        turn_ids: torch.Tensor | None,
        speaker_ids: torch.Tensor,
        sequence_index: torch.Tensor | None = None,
        read_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Tokens → (B, T, H): the backbone's read-out of each turn, before anything else."""
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
        return vectors[sequence_index.clamp(min=0)] * (sequence_index >= 0).unsqueeze(-1).to(vectors.dtype)

    def encode_memory(
        self, input_ids: torch.Tensor | None, attention_mask: torch.Tensor | None, rows_per_pass: int = 64
    ) -> torch.Tensor:
        """(U, M) utterances, each alone → (U, H). The CoMPM memory reads the first token,
        as `pooling` says.
        """
        if input_ids is None or attention_mask is None:
            raise ValueError("Give memory_input_ids and memory_attention_mask, or memory_embeds.")
        grad = self.config.memory_encoder != "frozen" and torch.is_grad_enabled()
        with torch.set_grad_enabled(grad):
            # Most utterances are short and few are long: portions of similar length carry
            # less padding.
            lengths = attention_mask.sum(1)
            order = lengths.argsort()
            vectors = []
            for rows in order.split(rows_per_pass):
                longest = max(1, int(lengths[rows].max()))
                vectors.append(
                    self.encode_utterances(input_ids[rows, :longest], attention_mask[rows, :longest])
                )
            return torch.cat(vectors)[order.argsort()]

    def encode_utterances(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(U, M) utterances in one pass of the memory's encoder → (U, H)."""
        encoder = self.encoder if self.memory_encoder is None else self.memory_encoder
        hidden = encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        one_turn = torch.where(attention_mask.bool(), 0, -1)
        if self.config.is_decoder_backbone and self.config.text_config.bos_token_id is not None:
            one_turn[:, 0].masked_fill_(input_ids[:, 0] == self.config.text_config.bos_token_id, -1)
        return pool_turns(hidden, one_turn, 1, self.config.pooling).squeeze(1)

    def _with_speaker_dropout(self, speaker_ids: torch.Tensor) -> torch.Tensor:
        if not self.training or self.config.speaker_dropout <= 0:
            return speaker_ids
        hidden = torch.rand(speaker_ids.shape, device=speaker_ids.device) < self.config.speaker_dropout
        return torch.where(hidden & (speaker_ids > 0), 0, speaker_ids)

    def marker_embeds(
        self, turn_ids: torch.Tensor, speaker_ids: torch.Tensor, sequence_index: torch.Tensor | None
    ) -> torch.Tensor:
        """(S, L, H): the id embedding on the first token of each turn, zero elsewhere."""
        assert self.speaker_embedding is not None
        if sequence_index is not None:  # per_turn: sequence → its dialogue's speakers
            dialogue, _ = torch.nonzero(sequence_index >= 0, as_tuple=True)
            order = sequence_index[sequence_index >= 0].argsort()
            speaker_ids = speaker_ids[dialogue[order]]
        previous = F.pad(turn_ids, (1, 0), value=-1)[:, :-1]
        starts = (turn_ids >= 0) & (turn_ids != previous)
        ids = speaker_ids.gather(1, turn_ids.clamp(min=0)).clamp(0, self.config.num_speakers - 1)
        return self.speaker_embedding(ids) * starts.unsqueeze(-1).to(self.speaker_embedding.weight.dtype)


class EmoNetForSequenceClassification(EmoNetPreTrainedModel):
    """EmoNet with its classifier: one distribution over emotions for every turn."""

    def __init__(self, config: EmoNetConfig):
        super().__init__(config)
        self.emonet = EmoNetModel(config)
        self.classifier = build_classifier(config)
        self.post_init()
        self.freeze()

    def get_input_embeddings(self) -> nn.Module:
        return self.emonet.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.emonet.set_input_embeddings(value)

    def forward(
        self, speaker_ids: torch.Tensor, *, labels: torch.Tensor | None = None, **inputs: torch.Tensor | None
    ) -> EmoNetOutput:
        """As [`EmoNetModel.forward`], with the same tensors, then logits (B, T, C).

        Args:
            labels: (B, T), -100 where nothing is to be learnt.
        """
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
            loss = loss_sum / weight_sum.clamp(min=torch.finfo(torch.float32).tiny)
        return EmoNetOutput(
            loss=loss, logits=logits, turn_states=states, member_logits=members, auxiliary_losses=auxiliary
        )

    # Names every tensor, for who reads it: the Trainer keeps the columns of a dataset
    # that it names.
    forward.__signature__ = inspect.signature(EmoNetModel.forward)  # type: ignore[attr-defined]

    def predict(self, dialogue: Any, **options: Any) -> Any:
        """Emotion of every turn, as the pipeline gives it: see
        [`EmoNetPipeline.__call__`] for input and options.

        Example:
            >>> model = AutoModel.from_pretrained(folder_or_id, trust_remote_code=True)
            >>> model.predict([{"speaker": "Monica", "text": "We had a deal!"}])
        """
        from .pipeline_emonet import EmoNetPipeline

        return EmoNetPipeline(self, device=self.device)(dialogue, **options)


def _build_encoder(config: EmoNetConfig) -> nn.Module:
    try:
        encoder = AutoModel.from_config(config.text_config, add_pooling_layer=False)
    except TypeError:  # families without a pooler do not take the argument
        encoder = AutoModel.from_config(config.text_config)
    if config.readout_layer is not None and config.is_decoder_backbone and hasattr(encoder, "norm"):
        encoder.norm = nn.Identity()  # the final norm belongs to the last layer, which is not the one read
    return encoder


def _load_encoder_state(path: str, config: EmoNetConfig, load: dict[str, Any]) -> dict[str, torch.Tensor]:
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # layers above the read-out are left out on purpose; missing ones are checked
    try:
        source, info = AutoModel.from_pretrained(
            path, config=config.text_config, output_loading_info=True, trust_remote_code=False, **load
        )
    except Exception as error:  # safetensors, pickle and the archive reader have errors of no common class
        raise ValueError(f"{path!r}: its weights do not load ({type(error).__name__}: {error}).") from error
    finally:
        logging.set_verbosity(verbosity)
    missing = [key for key in info["missing_keys"] if "pooler" not in key]
    if missing:
        raise ValueError(f"{path!r} lacks weights of its backbone, for example {sorted(missing)[0]!r}.")
    return source.state_dict()
