"""The configuration of EmoNet: everything that changes a prediction."""

import math
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from functools import wraps
from types import NoneType
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin

from huggingface_hub.dataclasses import strict, type_validator, validated_field
from huggingface_hub.errors import (
    StrictDataclassClassValidationError,
    StrictDataclassError,
    StrictDataclassFieldValidationError,
)
from transformers import AutoConfig, PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .constants import (
    PACKAGE_VERSION,
    ContextMode,
    IdentityPosition,
    MemoryEncoder,
    MemoryFusion,
    MemoryPooling,
    Pooling,
    SpeakerIdentity,
    SpeakerMemory,
)
from .errors import EmoNetError
from .files.custom_pipelines import CUSTOM_PIPELINES, RegisteredPipelines
from .files.guard import check_sizes, read_json
from .files.old_labels import with_new_labels

# Keys of a nested config that could make the loader fetch or run unrequested code.
UNTRUSTED_KEYS = ("trust_remote_code", "auto_map", "custom_pipelines")
# Position ids of these families start after the padding id.
OFFSET_POSITION_TYPES = ("roberta", "xlm-roberta", "camembert", "roberta-prelayernorm", "mpnet")
_LONGEST_SEQUENCE = 1024  # tokens, unless `max_sequence_tokens` says otherwise

Config = TypeVar("Config", bound="CheckpointConfig")


def strict_config(cls: type[Config]) -> type[Config]:
    """`strict` that raises EmoNetError with the field, its value and what is allowed.

    A field is checked whenever it is set; methods `validate_*` run after `__init__` and
    before saving. The errors of `strict` itself are not ValueErrors.
    """
    checked: Any = strict(cls)
    set_checked, validate = checked.__setattr__, checked.validate

    @wraps(set_checked)
    def set_attribute(self: Any, name: str, value: Any) -> None:
        try:
            set_checked(self, name, value)
        except StrictDataclassFieldValidationError as error:
            raise _refusal(checked.__dataclass_fields__[name], value, error.__cause__) from error

    @wraps(validate)  # copies the mark by which `strict` lets a subclass replace the method
    def validate_all(self: Any) -> None:
        try:
            validate(self)
        except StrictDataclassClassValidationError as error:
            raise EmoNetError(str(error.__cause__)) from error

    checked.__setattr__, checked.validate = set_attribute, validate_all
    return cls


def check_fields(instance: Any) -> None:
    """Check the fields of a frozen dataclass, where `strict` sees no assignment."""
    for field in fields(instance):
        check_field(field, getattr(instance, field.name))


def check_field(field: Field[Any], value: Any) -> None:
    """Check a value against the type and the validators of a dataclass field.

    Raises:
        EmoNetError: naming the field, its value and what is allowed.
    """
    try:
        type_validator(field.name, value, field.type)
        for validator in field.metadata.get("validator", ()):
            validator(value)
    except (TypeError, ValueError) as error:
        raise _refusal(field, value, error) from error


def limited(default: Any, allowed: str, is_allowed: Callable[[Any], bool]) -> Any:
    """Define a numeric field with a limit; whether it may be None is up to its type."""

    def validator(value: Any) -> None:
        if value is not None and not is_allowed(value):
            raise ValueError(f"must be {allowed}")

    return validated_field(validator, default=default)


def at_least(least: int, default: int | None) -> Any:
    """Define a field of numbers from `least`."""
    return limited(default, f"at least {least}", lambda number: number >= least)


def probability(default: float | None) -> Any:
    """Define a field of probabilities."""
    return limited(default, "from 0 to 1", lambda number: 0 <= number <= 1)


def positive(default: float) -> Any:
    """Define a field of finite numbers above 0."""
    return limited(default, "positive and finite", lambda number: 0 < number < math.inf)


def _refusal(field: Field[Any], value: Any, cause: BaseException | None) -> EmoNetError:
    if isinstance(cause, ValueError):  # from a validator of `limited`
        reason = f"{cause}{', or None' if NoneType in get_args(field.type) else ''}"
    elif get_origin(field.type) is Literal:
        reason = f"is not one of {', '.join(get_args(field.type))}"
    else:
        kind = getattr(field.type, "__name__", field.type) if isinstance(field.type, type) else field.type
        reason = f"must be {str(kind).replace('collections.abc.', '').replace('typing.', '')}"
        if field.default is not MISSING:
            reason += f"; the default is {field.default!r}"
    return EmoNetError(f"{field.name}={value!r:.200} {reason}.")


class CheckpointConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """The part that encoder and prompted configurations share."""

    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig}
    pipeline_is_registered = False  # whether the installed package is in use
    default_backbone = "bert"

    # The backbone's own configuration; a dict needs `model_type`.
    text_config: Any = None
    # The backbone's public name (Hub id, `minilm`, `smollm2` or a folder's name), for
    # cards, caches and adapters.
    backbone: str | None = None
    # One weight per class for the cross entropy, or None.
    class_weights: Sequence[float | int] | None = None
    # Divides logits before they become scores (Guo et al. 2017); it changes no label.
    calibration_temperature: float | int = positive(1.0)
    # The version of the training corpus.
    dataset_version: str | None = None
    emonet_version: str = PACKAGE_VERSION

    def __post_init__(self, **kwargs: Any) -> None:
        if self.pipeline_is_registered:
            kwargs["custom_pipelines"] = RegisteredPipelines(CUSTOM_PIPELINES)
        self.text_config = backbone_config(self.text_config, self.default_backbone)
        if self.class_weights is not None:
            self.class_weights = list(self.class_weights)
        if self.id2label:
            _check_labels(self.id2label)
            self.label2id = self.label2id or {label: int(index) for index, label in self.id2label.items()}
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]

    @classmethod
    def own_defaults(cls) -> dict[str, Any]:
        """The defaults of the fields that `PretrainedConfig` lacks."""
        return {
            field.name: field.default
            for field in fields(cls)
            if field.name not in PretrainedConfig.__dataclass_fields__
        }

    def to_dict(self) -> dict[str, Any]:
        """Add the pipeline's entry, so that every saved configuration has it."""
        return {**super().to_dict(), "custom_pipelines": CUSTOM_PIPELINES}

    @classmethod
    def _dict_from_json_file(cls, json_file: Any) -> dict[str, Any]:
        fields: dict[str, Any] = cls._decode_special_floats(read_json(json_file))
        return fields

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Refuse sizes that no model has, and drop what belongs to replaced labels.

        The base class would first make lists of that length.
        """
        check_sizes(config_dict)
        if kwargs.get("id2label"):
            kwargs["id2label"] = {int(index): label for index, label in kwargs["id2label"].items()}
        return super().from_dict(with_new_labels(config_dict, kwargs), **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)  # type: ignore[no-untyped-call]
        if name == "id2label" and value:
            _check_labels(value)
            label2id = {label: int(index) for index, label in value.items()}
            super().__setattr__("label2id", label2id)  # type: ignore[no-untyped-call]

    @property
    def label_names(self) -> list[str]:
        """The label names, in order of their ids."""
        names: dict[Any, Any] = self.id2label or {}
        return [names[index] for index in range(len(names))]

    def validate_class_weights(self) -> None:
        """Refuse another number of weights than labels, and negative weights."""
        if self.class_weights is None:
            return
        if len(self.class_weights) != self.num_labels:
            raise EmoNetError(
                f"class_weights has {len(self.class_weights)} values for {self.num_labels} labels."
            )
        if not (min(self.class_weights) >= 0 and 0 < sum(self.class_weights) < math.inf):
            raise EmoNetError(
                "class_weights must be finite and not negative, and at least one must be positive."
            )


@strict_config
class EmoNetConfig(CheckpointConfig):  # type: ignore[no-untyped-call]
    """Configuration of [`EmoNetModel`]; a comment above each field documents it.

    `text_config` may be of any encoder or decoder of `AutoModel`.

    Raises:
        EmoNetError: for a value that a field can't hold or an impossible combination,
            naming the field and what is allowed.
    """

    model_type = "emonet"
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "turn_states",
        "member_logits",
        "evidence_logits",
        "auxiliary_losses",
    ]

    # --- Context
    # `packed` (one sequence per dialogue, one read-out per turn) or `per_turn` (one
    # sequence per turn: the whole past, then the turn; Lee & Lee 2022, section 3).
    context_mode: ContextMode = "packed"
    # A turn sees itself and earlier turns only. False lets it see later turns: in a
    # packed encoder, in a context module that looks ahead (which requires False), or
    # in both.
    causal: bool = True
    # How many earlier turns a turn may see: None for all, 0 for the turn alone.
    context_window: int | None = at_least(0, None)
    # Module over turn vectors, after the backbone: `none`, or a key of `SYSTEMS` in
    # `context/base.py`.
    context_module: str = "none"
    # Dropout inside the context module; None: as `head_dropout`.
    context_dropout: float | int | None = probability(None)
    # Number of concepts in the knowledge that `context_module="ket"` reads, 0 for none.
    num_concepts: int = at_least(0, 0)

    # --- Speakers
    # `none`; `local` (order of appearance in the dialogue); `global` (one id per person
    # in the whole corpus); `name` (the name as text).
    speaker_identity: SpeakerIdentity = "global"
    # `marker` adds the global id embedding to the turn's speaker marker before the
    # backbone; `turn` adds an embedding of the (local or global) id to the turn vector
    # after it (for frozen backbones).
    identity_position: IdentityPosition = "marker"
    # Size of the global id table; id 0 is the unknown speaker.
    num_speakers: int = at_least(1, 1)
    # Size of the local id table; further speakers of a dialogue share the last row.
    num_local_speakers: int = at_least(1, 16)
    # Probability that training replaces a known speaker by the unknown one.
    speaker_dropout: float | int = probability(0.0)

    # --- Speaker memory
    # Scope of the speaker's earlier utterances: `none`, `dialogue` (CoMPM) or `corpus`.
    speaker_memory: SpeakerMemory = "corpus"
    # How many of the speaker's earlier utterances the memory holds (K).
    memory_window: int = at_least(1, 10)
    # `frozen` (the pretrained backbone, never trained), `shared` (the context encoder
    # itself) or `trained` (a second encoder).
    memory_encoder: MemoryEncoder = "frozen"
    # The GRU over the memory; hidden size None: as the backbone.
    memory_layers: int = at_least(1, 1)
    memory_dropout: float | int = probability(0.0)
    memory_hidden_size: int | None = at_least(1, None)
    # How the GRU's states are pooled: the `last` (CoMPM), their mean with weights that
    # halve every `memory_half_life` utterances into the past (`decay`), or their mean
    # with softmax weights by the turn vector (`attention`).
    memory_pooling: MemoryPooling = "last"
    # In utterances of that speaker, for `memory_pooling="decay"`.
    memory_half_life: float | int = positive(5.0)
    # A linear projection of the pooled states, before fusion.
    memory_projection: bool = True
    # `add`, `concat` (projected back) or `gated` (a learnt gate on the added memory).
    memory_fusion: MemoryFusion = "add"

    # --- Backbone and read-out
    # How a turn vector is read from its tokens: `mean`, `first` or `last`.
    pooling: Pooling = "mean"
    # `pooling` reads the tokens of the speaker's marker too (packed mode; False reads the
    # text alone, which attends to the marker).
    pool_marker: bool = True
    # The backbone layer to read (1-based); layers above are neither loaded nor run. None:
    # the last.
    readout_layer: int | None = at_least(1, None)
    # Turn and memory vectors are standardised with training-set statistics (frozen
    # backbones).
    standardize: bool = False
    # The context encoder is not trained.
    freeze_backbone: bool = False
    # Dropout of the backbone's attention weights in training; None: the backbone's own.
    # With 0, PyTorch's fused attention runs on a CPU too: there it has no dropout.
    attention_dropout: float | int | None = limited(None, "from 0 to below 1", lambda rate: 0 <= rate < 1)

    # --- Classifier
    # Width of the classifier's hidden layer, 0 for a single linear layer.
    head_hidden_size: int = at_least(0, 0)
    # Number of classifiers that are trained on the same turn vectors and averaged.
    head_members: int = at_least(1, 1)
    # Dropout before the classifier (and inside it).
    head_dropout: float | int = probability(0.1)

    # Known labels of some turns (`known_emotion`) are evidence for the others.
    label_evidence: bool = False

    # --- Lengths
    # Longest sequence in tokens; None: what the backbone allows, at most 1,024. The
    # longest dialogue of EmoryNLP and MELD has 703; reading a turn with thousands of
    # tokens before it costs several times the turn.
    max_sequence_tokens: int | None = at_least(1, None)
    # Longest turn in tokens; a longer one is truncated with a warning.
    max_turn_tokens: int = at_least(1, 256)

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.readout_layer is not None:
            _truncate_layers(self.text_config, self.readout_layer)
        if self.attention_dropout is not None:
            _set_attention_dropout(self.text_config, self.attention_dropout)

    @property
    def hidden_size(self) -> int:
        """Width H of a turn vector: the backbone's."""
        size: int = self.text_config.hidden_size
        return size

    @property
    def is_decoder_backbone(self) -> bool:
        """Whether the backbone is a causal language model, not an encoder."""
        return is_decoder_type(self.text_config.model_type)

    @property
    def context_module_dropout(self) -> float:
        """Dropout inside the context module."""
        return self.head_dropout if self.context_dropout is None else self.context_dropout

    @property
    def separate_memory_encoder(self) -> bool:
        """Whether the memory needs a second encoder with its own weights."""
        if self.speaker_memory == "none" or self.memory_encoder == "shared":
            return False
        return not (self.memory_encoder == "frozen" and self.freeze_backbone)

    @property
    def sequence_limit(self) -> int:
        """Most tokens of a sequence: `max_sequence_tokens`, as far as positions allow."""
        positions: int = getattr(self.text_config, "max_position_embeddings", None) or 0
        if positions <= 0:  # relative positions without an end (XLNet)
            positions = 512
        if self.text_config.model_type in OFFSET_POSITION_TYPES:
            positions -= (self.text_config.pad_token_id or 0) + 1
        return min(positions, self.max_sequence_tokens or _LONGEST_SEQUENCE)

    def validate_backbone(self) -> None:
        """Refuse what the family of the backbone does not support."""
        if self.is_decoder_backbone and self.pooling == "first":
            raise EmoNetError(
                "pooling='first' reads nothing from a decoder, whose first token sees no other: "
                "use mean or last."
            )
        if self.text_config.model_type == "xlnet" and self.context_mode == "packed" and self.causal:
            raise EmoNetError(
                "XLNet takes no block-causal mask: use context_mode='per_turn', or causal=False."
            )

    def validate_markers(self) -> None:
        """Refuse what the speakers' markers in the text do not support."""
        if not self.pool_marker and self.context_mode == "per_turn":
            raise EmoNetError("pool_marker=False needs context_mode='packed'.")
        if self.identity_position == "turn" and self.speaker_identity == "name":
            raise EmoNetError("speaker_identity='name' is text: use identity_position='marker'.")

    def validate_direction(self) -> None:
        """Refuse a `causal` or `num_concepts` that does not fit the context module."""
        # Imported here, so that importing this file needs no PyTorch.
        from .context.base import context_module_class

        module = context_module_class(self.context_module)
        looks_ahead = module is not None and module.sees_future
        if looks_ahead and self.causal:
            raise EmoNetError(
                f"context_module={self.context_module!r} lets a turn see later turns: "
                "set causal=False (--non-causal), which every result then names, or choose a causal module."
            )
        ends_at_turn = self.is_decoder_backbone or self.context_mode == "per_turn"
        if not self.causal and not looks_ahead and ends_at_turn:
            raise EmoNetError(
                "causal=False needs context_mode='packed' and an encoder backbone, or a context module that "
                "looks ahead: a decoder is always causal, and per_turn sequences end with their turn."
            )
        if self.num_concepts and (module is None or not module.uses_concepts):
            raise EmoNetError(
                f"num_concepts={self.num_concepts}, "
                f"but context_module={self.context_module!r} reads no concepts."
            )


def is_decoder_type(model_type: str) -> bool:
    """Whether a family is decoder-only: it has a causal LM head and no masked LM head."""
    # Imported here: importing it makes the package register its models, with this file.
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    return (
        model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )


def backbone_config(text_config: Any, default: str = "bert") -> PretrainedConfig:
    """Build a backbone's configuration, without names of code or of local folders.

    Raises:
        EmoNetError: for a value that is not a configuration, or an unknown model type.
    """
    config: PretrainedConfig
    if text_config is None:
        config = CONFIG_MAPPING[default]()
    elif isinstance(text_config, dict):
        config = _config_of_dict({"model_type": default, **text_config})
    elif isinstance(text_config, PretrainedConfig):
        config = text_config
    else:
        raise EmoNetError(
            f"text_config={text_config!r:.200} is not a configuration: "
            "give one of transformers, or a dict with model_type."
        )
    for key in UNTRUSTED_KEYS:
        config.__dict__.pop(key, None)
    config._name_or_path = ""  # a path of the training machine must not be published
    return config


def _config_of_dict(values: dict[str, Any]) -> PretrainedConfig:
    model_type = values["model_type"]
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise EmoNetError(
            f"text_config.model_type={model_type!r:.200} is not a model of the installed transformers; "
            "upgrade it. Backbones with code of their own are refused."
        )
    fields = {key: value for key, value in values.items() if key not in (*UNTRUSTED_KEYS, "model_type")}
    try:
        config: PretrainedConfig = CONFIG_MAPPING[model_type](**fields)
    except (
        StrictDataclassError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise EmoNetError(
            f"text_config is not a configuration of the model {model_type} "
            f"({' '.join(str(error).split())}); take the values from the backbone's own config.json."
        ) from error
    return config


def _check_labels(id2label: Any) -> None:
    try:
        complete = sorted(map(int, id2label)) == list(range(len(id2label))) and isinstance(id2label, dict)
    except (TypeError, ValueError):
        complete = False
    if not complete:
        raise EmoNetError(
            f"id2label={id2label!r:.200} must name every class by its id from 0: {{0: 'Joyful', 1: 'Mad'}}."
        )


def _truncate_layers(text_config: PretrainedConfig, readout_layer: int) -> None:
    layers = text_config.num_hidden_layers
    if readout_layer > layers:
        raise EmoNetError(f"readout_layer={readout_layer}, but the backbone has {layers} layers.")
    text_config.num_hidden_layers = readout_layer
    if getattr(text_config, "layer_types", None):
        text_config.layer_types = list(text_config.layer_types)[:readout_layer]


def _set_attention_dropout(text_config: PretrainedConfig, rate: float) -> None:
    for name in ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"):
        if hasattr(text_config, name):
            setattr(text_config, name, rate)
