"""Name the configurations of published systems and of the ablations between them."""

from dataclasses import dataclass, field
from typing import Any

from ..context.base import all_context_modules
from ..errors import EmoNetError


@dataclass(frozen=True)
class Preset:
    """A named configuration.

    Attributes:
        name: The word that selects it.
        summary: One line for the list of presets.
        paper: Its source.
        config: `EmoNetConfig` fields.
        training: `EmoNetTrainingArguments` fields.
        decoder: `EmoNetConfig` fields that differ for a decoder backbone.
        decoder_training: `EmoNetTrainingArguments` fields that differ for a decoder.
    """

    name: str
    summary: str
    paper: str
    config: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    decoder: dict[str, Any] = field(default_factory=dict)
    decoder_training: dict[str, Any] = field(default_factory=dict)

    @property
    def sees_future(self) -> bool:
        """Whether a turn's prediction uses later turns."""
        return not self.config.get("causal", True)


_FINE_TUNED: dict[str, Any] = {
    "learning_rate": 5e-5,
    "learning_rate_mapping": {r"^(emonet\.(memory|speaker_embedding|context)\b|classifier\.)": 5e-4},
    "num_train_epochs": 4,
    "per_device_train_batch_size": 8,
    "warmup_steps": 0.1,
}
# Without attention dropout an epoch on a CPU takes half the time and less memory; see
# `EmoNetConfig`.
_CONTEXT: dict[str, Any] = {
    "context_mode": "packed",
    "causal": True,
    "pooling": "mean",
    "attention_dropout": 0.0,
    "speaker_memory": "none",
}
_MEMORY: dict[str, Any] = {
    "memory_encoder": "frozen",
    "memory_window": 10,
    "memory_layers": 1,
    "memory_hidden_size": 128,
}
_COMPM = "Lee & Lee 2022, CoMPM (NAACL)"
_THESIS = "EmoNet thesis: CoMPM with global speakers, speaker behaviour, weighted loss"

# A frozen encoder reads each turn alone, like the sequences of its own training, and a
# GRU adds the past. A frozen decoder reads the dialogue with its names in one pass; each
# turn's vector is pooled from its text at a layer after the middle. The memory did not
# help in first trials, so it is off; `--speaker-memory corpus` turns it on.
_FAST = {
    "freeze_backbone": True,
    "standardize": True,
    "pooling": "mean",
    "context_window": 0,
    "context_module": "gru",
    "speaker_identity": "global",
    "identity_position": "turn",
    "speaker_dropout": 0.2,
    "speaker_memory": "none",
    "memory_encoder": "frozen",
    "memory_window": 10,
    "memory_hidden_size": 64,
    "memory_fusion": "gated",
    "head_hidden_size": 256,
    "head_members": 4,
    "head_dropout": 0.5,
}
# The GRU overfits after about five epochs, so training stops early. The decoder's head
# has no GRU and needs all thirty.
_FAST_TRAINING: dict[str, Any] = {
    "learning_rate": 1e-3,
    "num_train_epochs": 30,
    "early_stopping_patience": 8,
    "per_device_train_batch_size": 16,
    "weight_decay": 0.01,
    "class_weighting": "none",
    "save_strategy": "no",
}
_FAST_DECODER_TRAINING = {
    "learning_rate": 5e-4,
    "early_stopping_patience": 0,
    "per_device_train_batch_size": 4,
}
_FAST_DECODER = {
    "context_window": None,
    "context_module": "none",
    "speaker_identity": "name",
    "identity_position": "marker",
    "pool_marker": False,
    "readout_fraction": 2 / 3,
}

_CONTEXT_MODULES = all_context_modules()
# A published system on cached turn vectors: the backbone reads each turn alone, the
# system's module adds the context, and none of EmoNet's own parts is used.
_SYSTEM: dict[str, Any] = {
    **_FAST,
    "speaker_identity": "none",
    "speaker_dropout": 0.0,
    "context_dropout": 0.3,
}
_SYSTEM_TRAINING: dict[str, Any] = {**_FAST_TRAINING, "learning_rate": 5e-4}
_SYSTEM_DECODER: dict[str, Any] = {
    name: value for name, value in _FAST_DECODER.items() if name not in ("context_module", "speaker_identity")
}
# The same with the backbone trained too.
_SYSTEM_FINE_TUNED: dict[str, Any] = {
    "context_mode": "packed",
    "pooling": "mean",
    "attention_dropout": 0.0,
    "context_window": 0,
    "context_dropout": 0.1,
    "speaker_identity": "none",
    "speaker_memory": "none",
    "head_dropout": 0.1,
}


def _system(name: str, summary: str, fine_tuned: dict[str, Any] | None = None) -> tuple[Preset, Preset]:
    """A published system as two presets: frozen backbone and fine-tuned backbone.

    Args:
        name: The name of its context module.
        summary: One line for the list of presets.
        fine_tuned: `EmoNetConfig` fields that differ if the backbone is trained.
    """
    module = _CONTEXT_MODULES[name]
    paper, direction = module.paper, {"context_module": name, "causal": not module.sees_future}
    tuned = {**_SYSTEM_FINE_TUNED, **direction, **(fine_tuned or {})}
    return (
        Preset(
            name,
            summary,
            paper,
            {**_SYSTEM, **direction},
            _SYSTEM_TRAINING,
            _SYSTEM_DECODER,
            _FAST_DECODER_TRAINING,
        ),
        Preset(
            f"{name}-finetuned",
            f"{summary}; backbone trained",
            paper,
            tuned,
            {**_FINE_TUNED, "class_weighting": "none"},
            # A decoder reads the whole past even where an encoder reads each turn alone.
            {"context_window": tuned["context_window"] or None},
        ),
    )


# The head starts from the weights of `emonet-fast`, and this start is the first
# candidate on validation.
_LM_TRAINING: dict[str, Any] = {
    "lora_rank": 16,
    "head_epochs": 30,
    "learning_rate": 1.5e-4,
    "learning_rate_mapping": {r"^classifier\.": 2e-4},
    "num_train_epochs": 4,
    "per_device_train_batch_size": 8,
    "warmup_steps": 0.1,
    "weight_decay": 0.01,
    "class_weighting": "inverse",
    "logit_adjustment": "validation",  # the backbone was trained on all training dialogues
    "eval_on_start": True,
    "save_strategy": "no",
}


def _ablation(name: str, summary: str, weighted: bool = False, **config: Any) -> Preset:
    """A row of the thesis's ablation: the packed context with `config` changed."""
    training = {**_FINE_TUNED, "class_weighting": "inverse" if weighted else "none"}
    return Preset(name, summary, _THESIS, {**_CONTEXT, **config}, training)


_ALL = (
    _ablation("context", "packed dialogue context alone", speaker_identity="none"),
    _ablation("context-weighted", "context and weighted loss", weighted=True, speaker_identity="none"),
    _ablation(
        "local-identity", "context and speaker markers by order of appearance", speaker_identity="local"
    ),
    _ablation(
        "global-identity", "context and one id per person (lowers the scores)", speaker_identity="global"
    ),
    _ablation(
        "dialogue-memory",
        "context and what the speaker said in this dialogue",
        speaker_identity="local",
        **{**_MEMORY, "speaker_memory": "dialogue"},
    ),
    _ablation(
        "corpus-memory",
        "context and what the speaker said in any dialogue",
        speaker_identity="local",
        **{**_MEMORY, "speaker_memory": "corpus"},
    ),
    _ablation(
        "identity-memory",
        "global identity and corpus memory, plain loss",
        speaker_identity="global",
        **{**_MEMORY, "speaker_memory": "corpus"},
    ),
    _ablation(
        "emonet-thesis",
        "global identity, corpus memory, weighted loss",
        weighted=True,
        speaker_identity="global",
        **{**_MEMORY, "speaker_memory": "corpus"},
    ),
    Preset(
        "compm",
        "context model and pre-trained memory, one sequence a turn",
        _COMPM,
        {
            "context_mode": "per_turn",
            "pooling": "first",
            "speaker_identity": "local",
            "speaker_memory": "dialogue",
            "memory_encoder": "trained",
            "memory_window": 512,  # whole dialogues; the longest of the known corpora has 33 turns
            "memory_layers": 2,
            "memory_dropout": 0.3,
            "memory_projection": False,
            "memory_fusion": "add",
            "head_dropout": 0.0,
        },
        # The paper trains RoBERTa-large at 1e-6, batch 1. A smaller backbone needs a
        # higher rate and many steps: after 90 steps of eight dialogues MiniLM still
        # predicted the most frequent label only (results/earlier/compm-90-steps).
        {**_FINE_TUNED, "per_device_train_batch_size": 2, "class_weighting": "none"},
        {"pooling": "last"},  # a decoder's first token has seen nothing
    ),
    # In a frozen backbone the first token says little about a whole past. A GRU over the
    # turns is the context model instead, as in the other frozen presets.
    Preset(
        "compm-frozen",
        "CoMPM's two branches on cached features: a GRU over the turns, "
        "and the speaker's earlier turns of the dialogue",
        _COMPM,
        {
            **_FAST,
            "speaker_identity": "local",
            "speaker_dropout": 0.0,
            "speaker_memory": "dialogue",
            "memory_window": 512,
            "memory_layers": 2,
            "memory_dropout": 0.3,
            "memory_hidden_size": None,
            "memory_projection": False,
            "memory_fusion": "add",
        },
        _FAST_TRAINING,
        {**_SYSTEM_DECODER, "context_module": "none", "identity_position": "turn"},
        _FAST_DECODER_TRAINING,
    ),
    Preset(
        "emonet-fast",
        "EmoNet on a frozen backbone with cached features: trains in a minute on a CPU",
        _THESIS,
        _FAST,
        _FAST_TRAINING,
        _FAST_DECODER,
        _FAST_DECODER_TRAINING,
    ),
    # What won on validation (results/search.md): a bias for every class, fitted to
    # out-of-fold predictions, in place of weights in the loss; the speaker's name or id,
    # no memory.
    Preset(
        "emonet",
        "EmoNet at its best: frozen backbone, speakers' names or ids, "
        "logits adjusted to weighted F1 on training dialogues",
        _THESIS,
        {**_FAST, "head_members": 5},
        {**_FAST_TRAINING, "logit_adjustment": "out_of_fold"},
        _FAST_DECODER,
        _FAST_DECODER_TRAINING,
    ),
    Preset(
        "emonet-labels",
        "emonet that also takes known labels of some turns as evidence for the others",
        _THESIS,
        {**_FAST, "head_members": 5, "label_evidence": True},
        {**_FAST_TRAINING, "logit_adjustment": "out_of_fold"},
        _FAST_DECODER,
        _FAST_DECODER_TRAINING,
    ),
    *_system("ket", "attention to the last six turns, concepts of a knowledge graph weighed by affect"),
    *_system("dialoguegcn", "GRU both ways, graph by speaker pair and direction"),
    *_system("rgat", "graph attention by relation and relative position"),
    *_system("dialogxl", "attention heads for the nearby past, all of it, speaker and listeners"),
    *_system(
        "hitrans",
        "transformer over turns, same-speaker verification as a second task",
        fine_tuned={"context_window": None},
    ),
    *_system(
        "tucore-gcn",
        "graph of dialogue, turns and speakers, BiLSTM over turns",
        fine_tuned={"context_window": None, "speaker_identity": "local"},
    ),
    *_system("s-page", "streams for the speaker and the others, graph by speaker and position"),
    *_system("dag-erc", "acyclic graph from a turn back to its speaker's last one"),
    *_system(
        "spcl",
        "prototypes of the emotions by contrastive learning",
        fine_tuned={"context_window": 8, "speaker_identity": "name"},
    ),
    Preset(
        "emonet-lm",
        "EmoNet on a language model with LoRA: one causal pass a dialogue, "
        "vectors from a layer after the middle",
        f"{_THESIS}; Hu et al. 2022, LoRA (ICLR)",
        {
            **_FAST,
            "freeze_backbone": False,
            "attention_dropout": 0.0,
            "context_module": "none",
            "speaker_dropout": 0.0,
            "context_window": None,
            "speaker_identity": "name",
            "identity_position": "marker",
            "pool_marker": False,
        },
        _LM_TRAINING,
        {"readout_fraction": 2 / 3},
    ),
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}


def get_preset(name: str) -> Preset:
    """Look up a preset.

    Raises:
        EmoNetError: for an unknown name; it lists the known ones.
    """
    if name not in PRESETS:
        raise EmoNetError(f"Unknown preset {name!r}; the presets are {', '.join(PRESETS)}.")
    return PRESETS[name]


def preset_config(name: str, is_decoder: bool, num_layers: int) -> dict[str, Any]:
    """`EmoNetConfig` fields of a preset for a backbone.

    Args:
        name: The preset.
        is_decoder: Whether the backbone is a decoder.
        num_layers: The number of its layers.
    """
    preset = get_preset(name)
    fields = {**preset.config, **(preset.decoder if is_decoder else {})}
    fraction = fields.pop("readout_fraction", None)
    if fraction is not None:
        fields["readout_layer"] = max(1, round(fraction * num_layers))
    return fields


def preset_training(name: str, is_decoder: bool) -> dict[str, Any]:
    """`EmoNetTrainingArguments` fields of a preset for an encoder or a decoder."""
    preset = get_preset(name)
    return {**preset.training, **(preset.decoder_training if is_decoder else {})}


def added_parameters(name: str, hidden_size: int = 384, num_labels: int = 7) -> int:
    """Count the parameters that a preset adds to an encoder of a given width.

    The backbone's own, id tables of speakers and knowledge are not counted.
    """
    import torch
    from transformers import CONFIG_MAPPING

    from ..configuration_emonet import EmoNetConfig
    from ..modeling_emonet import EmoNetForSequenceClassification

    bert: Any = CONFIG_MAPPING["bert"]
    backbone = bert(hidden_size=hidden_size, num_hidden_layers=1, num_attention_heads=1, vocab_size=8)
    labels: dict[str, Any] = {
        "id2label": {index: str(index) for index in range(num_labels)},
        "label2id": {str(index): index for index in range(num_labels)},
    }
    config = EmoNetConfig(text_config=backbone, **labels, **preset_config(name, False, 1))
    with torch.device("meta"):
        model = EmoNetForSequenceClassification(config)
    encoders = [model.emonet.encoder, *filter(None, [model.emonet.memory_encoder])]
    of_encoders = sum(p.numel() for encoder in encoders for p in encoder.parameters())
    return int(model.num_parameters() - of_encoders)
