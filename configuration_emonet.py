"""EmoNetConfig: everything that changes a prediction, and nothing else."""

from typing import Any

from transformers import AutoConfig, PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .choices import CHOICES
from .version import PACKAGE_VERSION

# Keys of a nested config that could make the loader fetch or run code that nobody asked for.
UNTRUSTED_KEYS = ("trust_remote_code", "auto_map", "custom_pipelines")
# Position ids of these families start behind the padding id.
OFFSET_POSITION_TYPES = ("roberta", "xlm-roberta", "camembert", "roberta-prelayernorm", "mpnet")

# How `pipeline()` finds the code of a checkpoint where the package is not installed.
CUSTOM_PIPELINES = {
    "emotion-in-conversation": {
        "impl": "pipeline_emonet.EmoNetPipeline",
        "pt": ["AutoModelForSequenceClassification"],
    }
}


class CheckpointConfig(PretrainedConfig):
    """What the configurations of both read-outs share."""

    sub_configs = {"text_config": AutoConfig}
    # Set by the installed package, which registers the pipeline itself: a `custom_pipelines` entry would send
    # `pipeline()` to the repository's code and so ask for trust_remote_code.
    pipeline_is_registered = False

    def __init__(self, **kwargs: Any):
        if self.pipeline_is_registered:
            kwargs.pop("custom_pipelines", None)
        if kwargs.get("id2label") and not kwargs.get("label2id"):
            kwargs["label2id"] = {label: int(index) for index, label in kwargs["id2label"].items()}
        super().__init__(**kwargs)

    def to_dict(self) -> dict[str, Any]:
        """As the base class's, with the pipeline's entry, so that every saved configuration has it."""
        return {**super().to_dict(), "custom_pipelines": CUSTOM_PIPELINES}

    @property
    def label_names(self) -> list[str]:
        """The label names in order of their ids."""
        names: dict[Any, Any] = self.id2label or {}
        return [names[index] for index in range(len(names))]


class EmoNetConfig(CheckpointConfig):
    """Configuration of [`EmoNetModel`].

    Args:
        text_config: The backbone's own configuration (any encoder or decoder of `AutoModel`); a dict needs `model_type`.
        backbone: Public name of the backbone (Hub id, `minilm`, `smollm2` or a folder's name), for cards and caches.
        context_mode: `packed` (one sequence a dialogue, one read-out a turn) or `per_turn` (one sequence a turn: the
            whole past, then the turn; the form of CoMPM, Lee & Lee 2022, section 3).
        causal: A turn sees itself and earlier turns only. `False` lets it see later turns: in a packed encoder, in a context
            module that looks ahead (which must not be combined with `True`), or both.
        context_window: How many earlier turns a turn may see; `None` for all, 0 for the turn alone.
        context_module: Module over turn vectors, after the backbone (`none`, or one of `context_registry.py`).
        context_dropout: Dropout inside the context module; `None`: as `head_dropout`.
        num_concepts: Concepts of the knowledge that `context_module="ket"` reads, 0 for none.
        speaker_identity: `none`; `local` (order of appearance in the dialogue); `global` (one id per person for the
            whole corpus); `name` (the name as text).
        identity_position: `marker` adds the global id embedding to the turn's speaker marker before the backbone;
            `turn` adds an embedding of the (local or global) id to the turn vector behind it (for frozen backbones).
        num_speakers: Size of the global id table, with id 0 for the unknown speaker.
        num_local_speakers: Size of the local id table; later newcomers of a dialogue share the last row.
        speaker_dropout: Probability that a known speaker is shown as the unknown one in training.
        speaker_memory: Scope of what the speaker said before: `none`, `dialogue` (CoMPM) or `corpus`.
        memory_window: How many of the speaker's earlier utterances the memory holds (K).
        memory_encoder: `frozen` (the pretrained backbone, never trained), `shared` (the context encoder itself) or
            `trained` (a second encoder).
        memory_layers / memory_dropout / memory_hidden_size: The GRU over the memory (hidden size `None`: as the backbone).
        memory_pooling: What is read off the GRU's states: the `last` (CoMPM), their mean with weights that halve every
            `memory_half_life` utterances into the past (`decay`), or their mean with softmax weights by the turn
            vector (`attention`).
        memory_half_life: In utterances of that speaker, for `memory_pooling="decay"`.
        memory_projection: A linear projection of what was read off the GRU, before fusion.
        memory_fusion: `add`, `concat` (then projected back) or `gated` (a learnt gate on the added memory).
        pooling: How a turn vector is read from its tokens: `mean`, `first` or `last`.
        pool_marker: The tokens of the speaker's marker are part of what `pooling` reads (packed mode; `False` reads the
            text alone, which has seen the marker).
        readout_layer: The backbone's layer that is read (1-based); layers above are neither loaded nor run. `None`: all.
        standardize: Turn and memory vectors are standardised with training-set statistics (frozen backbones).
        freeze_backbone: The context encoder is not trained.
        attention_dropout: Dropout of the backbone's attention weights in training; `None`: the backbone's own. With 0 PyTorch's
            fused attention runs on a CPU too, which takes none.
        head_hidden_size: Width of the classifier's hidden layer, 0 for a single linear layer.
        head_members: How many classifiers are trained side by side on the same turn vectors and averaged.
        head_dropout: Dropout before the classifier (and inside it).
        max_sequence_tokens: Longest sequence, `None` for what the backbone allows.
        max_turn_tokens: Longest single turn; the rest of a longer one is cut with a warning.
        calibration_temperature: Logits are divided by it where they become scores (Guo et al. 2017); it changes no label.
        class_weights: One positive weight a class for the cross entropy, or `None`.
        dataset_version: The corpus version that the checkpoint was trained on.

    Raises:
        ValueError: for an unknown choice or an impossible combination, naming the field and the allowed values.
    """

    model_type = "emonet"
    keys_to_ignore_at_inference = ["turn_states", "member_logits", "auxiliary_losses"]

    def __init__(
        self,
        text_config: Any = None,
        backbone: str | None = None,
        context_mode: str = "packed",
        causal: bool = True,
        context_window: int | None = None,
        context_module: str = "none",
        context_dropout: float | None = None,
        num_concepts: int = 0,
        speaker_identity: str = "global",
        identity_position: str = "marker",
        num_speakers: int = 1,
        num_local_speakers: int = 16,
        speaker_dropout: float = 0.0,
        speaker_memory: str = "corpus",
        memory_window: int = 10,
        memory_encoder: str = "frozen",
        memory_layers: int = 1,
        memory_dropout: float = 0.0,
        memory_hidden_size: int | None = None,
        memory_pooling: str = "last",
        memory_half_life: float = 5.0,
        memory_projection: bool = True,
        memory_fusion: str = "add",
        pooling: str = "mean",
        pool_marker: bool = True,
        readout_layer: int | None = None,
        standardize: bool = False,
        freeze_backbone: bool = False,
        attention_dropout: float | None = None,
        head_hidden_size: int = 0,
        head_members: int = 1,
        head_dropout: float = 0.1,
        max_sequence_tokens: int | None = None,
        max_turn_tokens: int = 256,
        calibration_temperature: float = 1.0,
        class_weights: list[float] | None = None,
        dataset_version: str | None = None,
        emonet_version: str = PACKAGE_VERSION,
        **kwargs: Any,
    ):
        self.text_config = backbone_config(text_config)
        self.backbone = backbone
        self.context_mode = context_mode
        self.causal = causal
        self.context_window = context_window
        self.context_module = context_module
        self.context_dropout = context_dropout
        self.num_concepts = num_concepts
        self.speaker_identity = speaker_identity
        self.identity_position = identity_position
        self.num_speakers = num_speakers
        self.num_local_speakers = num_local_speakers
        self.speaker_dropout = speaker_dropout
        self.speaker_memory = speaker_memory
        self.memory_window = memory_window
        self.memory_encoder = memory_encoder
        self.memory_layers = memory_layers
        self.memory_dropout = memory_dropout
        self.memory_hidden_size = memory_hidden_size
        self.memory_pooling = memory_pooling
        self.memory_half_life = memory_half_life
        self.memory_projection = memory_projection
        self.memory_fusion = memory_fusion
        self.pooling = pooling
        self.pool_marker = pool_marker
        self.readout_layer = readout_layer
        self.standardize = standardize
        self.freeze_backbone = freeze_backbone
        self.attention_dropout = attention_dropout
        self.head_hidden_size = head_hidden_size
        self.head_members = head_members
        self.head_dropout = head_dropout
        self.max_sequence_tokens = max_sequence_tokens
        self.max_turn_tokens = max_turn_tokens
        self.class_weights = list(class_weights) if class_weights is not None else None
        self.calibration_temperature = calibration_temperature
        self.dataset_version = dataset_version
        self.emonet_version = emonet_version
        super().__init__(**kwargs)
        self._validate()
        if readout_layer is not None:
            _truncate_layers(self.text_config, readout_layer)
        if attention_dropout is not None:
            _set_attention_dropout(self.text_config, attention_dropout)

    @property
    def hidden_size(self) -> int:
        """Width H of a turn vector: the backbone's."""
        return self.text_config.hidden_size

    @property
    def is_decoder_backbone(self) -> bool:
        """Whether the backbone is a causal language model (LLaMA type) rather than an encoder."""
        return is_decoder_type(self.text_config.model_type)

    @property
    def context_module_dropout(self) -> float:
        """Dropout inside the context module."""
        return self.head_dropout if self.context_dropout is None else self.context_dropout

    @property
    def separate_memory_encoder(self) -> bool:
        """Whether the memory needs a second encoder with weights of its own."""
        if self.speaker_memory == "none" or self.memory_encoder == "shared":
            return False
        return not (self.memory_encoder == "frozen" and self.freeze_backbone)

    @property
    def sequence_limit(self) -> int:
        """Most tokens of one sequence: the backbone's positions, or `max_sequence_tokens` if smaller."""
        positions = getattr(self.text_config, "max_position_embeddings", None) or 0
        if positions <= 0:  # relative positions without an end (XLNet)
            positions = 512
        if self.text_config.model_type in OFFSET_POSITION_TYPES:
            positions -= (self.text_config.pad_token_id or 0) + 1
        return min(positions, self.max_sequence_tokens or positions)

    def _validate(self) -> None:
        for field, allowed in CHOICES.items():
            value = getattr(self, field)
            if value not in allowed:
                raise ValueError(f"{field}={value!r} is not one of {', '.join(allowed)}.")
        self._validate_direction()
        if self.is_decoder_backbone and self.pooling == "first":
            raise ValueError(
                "pooling='first' reads nothing from a decoder, whose first token sees no other: use mean or last."
            )
        if self.text_config.model_type == "xlnet" and self.context_mode == "packed" and self.causal:
            raise ValueError(
                "XLNet takes no block-causal mask: use context_mode='per_turn', or causal=False."
            )
        if not self.pool_marker and self.context_mode == "per_turn":
            raise ValueError("pool_marker=False needs context_mode='packed'.")
        if self.identity_position == "turn" and self.speaker_identity == "name":
            raise ValueError("speaker_identity='name' is text: use identity_position='marker'.")
        if self.memory_window < 1 or self.num_speakers < 1 or self.head_members < 1:
            raise ValueError("memory_window, num_speakers and head_members must be at least 1.")
        if self.attention_dropout is not None and not 0 <= self.attention_dropout < 1:
            raise ValueError("attention_dropout must be None or from 0 to below 1.")
        if self.memory_half_life <= 0:
            raise ValueError("memory_half_life must be positive.")
        if self.calibration_temperature <= 0:
            raise ValueError("calibration_temperature must be positive.")
        if self.context_window is not None and self.context_window < 0:
            raise ValueError("context_window must be None (all earlier turns) or 0 and more.")
        if self.class_weights is not None:
            if len(self.class_weights) != self.num_labels:
                raise ValueError(
                    f"class_weights has {len(self.class_weights)} values for {self.num_labels} labels."
                )
            if min(self.class_weights) < 0 or sum(self.class_weights) <= 0:
                raise ValueError("class_weights must not be negative, and one at least must be positive.")
        if self.readout_layer is not None and self.readout_layer < 1:
            raise ValueError("readout_layer counts layers from 1.")

    def _validate_direction(self) -> None:
        # Imported here, so that a configuration without a model needs no PyTorch until it is made.
        from .context.registry import context_module_class

        module = context_module_class(self.context_module)
        looks_ahead = module is not None and module.sees_future
        if looks_ahead and self.causal:
            raise ValueError(
                f"context_module={self.context_module!r} lets a turn see later turns: set causal=False (--non-causal), which is "
                "then named in every result, or take a causal module."
            )
        if (
            not self.causal
            and not looks_ahead
            and (self.is_decoder_backbone or self.context_mode == "per_turn")
        ):
            raise ValueError(
                "causal=False needs context_mode='packed' and an encoder backbone, or a context module that looks ahead: a "
                "decoder is causal by nature, and per_turn sequences end with their turn."
            )
        if self.num_concepts and (module is None or not module.uses_concepts):
            raise ValueError(
                f"num_concepts={self.num_concepts}, but context_module={self.context_module!r} reads no concepts."
            )


def is_decoder_type(model_type: str) -> bool:
    """Whether `model_type` names a decoder-only family: it has a causal LM head and no masked LM head."""
    # Imported here: that module's import is when the package registers the model, which needs this one.
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    return (
        model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )


def backbone_config(text_config: Any, default: str = "bert") -> PretrainedConfig:
    """A backbone's configuration out of a dict or an object, without what names code or a place on a machine."""
    if text_config is None:
        return CONFIG_MAPPING[default]()
    if isinstance(text_config, dict):
        values = {key: value for key, value in text_config.items() if key not in UNTRUSTED_KEYS}
        model_type = values.pop("model_type", default)
        if model_type not in CONFIG_MAPPING:
            raise ValueError(
                f"text_config.model_type={model_type!r} is not a model of the installed transformers; upgrade it. "
                "Backbones with code of their own are refused."
            )
        text_config = CONFIG_MAPPING[model_type](**values)
    for key in UNTRUSTED_KEYS:
        text_config.__dict__.pop(key, None)
    text_config._name_or_path = ""  # a path of the training machine has no place in a checkpoint
    return text_config


def _truncate_layers(text_config: PretrainedConfig, readout_layer: int) -> None:
    layers = text_config.num_hidden_layers
    if readout_layer > layers:
        raise ValueError(f"readout_layer={readout_layer}, but the backbone has {layers} layers.")
    text_config.num_hidden_layers = readout_layer
    if getattr(text_config, "layer_types", None):
        text_config.layer_types = list(text_config.layer_types)[:readout_layer]


def _set_attention_dropout(text_config: PretrainedConfig, rate: float) -> None:
    for name in ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"):
        if hasattr(text_config, name):
            setattr(text_config, name, rate)


EmoNetConfig.register_for_auto_class()
