"""LoRA adapters (Hu et al. 2022) on the backbone, through peft: put on, saved apart,
merged.

The state dict of a model with adapters is that of the model they make: whatever saves it
writes plain weights, which load without peft, through the Auto classes and on the Hub.
The adapters alone go into a file of their own.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ..checkpoint.adapters import ADAPTER_FILE, ADAPTER_WEIGHTS, weights_digest
from ..checkpoint.run_record import RUN_FILE, write_json
from ..errors import EmoNetError
from ..files.guard import refuse_outside_links

ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class LoraSettings:
    """Size and place of the adapters.

    Args:
        rank: Width of the two factors. alpha: The update is scaled by `alpha / rank`;
            `None`: twice the rank.
        dropout: Before the first factor, in training.
        target_modules: Names of the layers (`q_proj,v_proj`), or `all-linear`.
    """

    rank: int = 16
    alpha: float | None = None
    dropout: float = 0.05
    target_modules: str = ALL_LINEAR

    @classmethod
    def of(cls, arguments: Any) -> "LoraSettings":
        """Those of `EmoNetTrainingArguments`."""
        return cls(
            arguments.lora_rank, arguments.lora_alpha, arguments.lora_dropout, arguments.lora_target_modules
        )

    @property
    def scale_alpha(self) -> float:
        return 2 * self.rank if self.alpha is None else self.alpha

    @property
    def targets(self) -> str | list[str]:
        names = [name.strip() for name in self.target_modules.split(",")]
        return ALL_LINEAR if names == [ALL_LINEAR] else names


@dataclass
class _Adapters:
    settings: LoraSettings
    base_digest: str
    base_dtype: str
    hook: Any


def add_adapters(model: Any, settings: LoraSettings) -> None:
    """Put adapters on the backbone, in place. They and what stands behind the backbone
    are trained, its own weights are not.

    Raises:
        EmoNetError: without peft, for layers that the backbone has not, or where there
            are adapters already.
    """
    peft = _peft()
    encoder = model.adapted
    if has_adapters(model):
        raise EmoNetError("The model has adapters already: merge_adapters(model) first.")
    digest = weights_digest(encoder)
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.scale_alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets,
    )
    training = encoder.training
    try:
        peft.inject_adapter_in_model(config, encoder)
    except ValueError as error:
        raise EmoNetError(f"lora_target_modules={settings.target_modules!r}: {error}") from error
    encoder.train(training)
    dtype = str(encoder.dtype).removeprefix("torch.")
    hook = encoder.register_state_dict_post_hook(_as_plain_weights)
    encoder.emonet_adapters = _Adapters(settings, digest, dtype, hook)


def has_adapters(model: Any) -> bool:
    """Whether the backbone carries adapters that are not merged."""
    return getattr(model.adapted, "emonet_adapters", None) is not None


@torch.no_grad()
def merge_adapters(model: Any) -> None:
    """Add the adapters to the backbone's weights and take them off, in place: the model
    computes the same without peft.
    """
    encoder = model.adapted
    for name, layer in _adapted_layers(encoder):
        layer.merge(safe_merge=True)
        encoder.set_submodule(name, layer.get_base_layer())
    encoder.emonet_adapters.hook.remove()
    del encoder.emonet_adapters


def trained_state(model: Any) -> dict[str, torch.Tensor]:
    """Adapters and all that stands behind the backbone: what a checkpoint holds beside
    the pretrained weights.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    own = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if "lora_" in name or not name.startswith(model.backbone_prefixes)
    }
    return own


def save_adapter(model: Any, folder: str | Path, record: dict[str, Any] | None = None) -> None:
    """Write the adapters, the head, and which backbone they belong to; with code,
    configuration, tokenizer and speakers.

    Some megabytes in place of the whole model, which `from_pretrained` makes whole again.

    Args:
        record: What `run.json` says, for the card.
    """
    if not has_adapters(model):
        raise EmoNetError("The model has no adapters: they are merged, or it was trained without.")
    folder = Path(folder)
    refuse_outside_links(folder)
    folder.mkdir(parents=True, exist_ok=True)
    adapters = model.adapted.emonet_adapters
    save_file(trained_state(model), folder / ADAPTER_WEIGHTS)
    facts = {
        "version": 1,
        "backbone": model.config.backbone,
        "base_digest": adapters.base_digest,
        "base_dtype": adapters.base_dtype,
        **asdict(adapters.settings),
    }
    (folder / ADAPTER_FILE).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    if record is not None:
        write_json(folder / RUN_FILE, record)
    model.save_without_weights(folder)


def load_trained_state(model: Any, state: dict[str, torch.Tensor], source: Any) -> None:
    """Put `trained_state` back into a model with the same adapters."""
    missing = sorted(set(trained_state(model)) ^ set(state))
    if missing:
        raise EmoNetError(
            f"{source}: other adapters than the model's, for example {missing[0]!r}; train with the same settings."
        )
    targets = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for name, tensor in state.items():
            targets[name].copy_(tensor)


def _adapted_layers(encoder: Any) -> list[tuple[str, Any]]:
    tuners = _peft().tuners.tuners_utils
    return [
        (name, module)
        for name, module in encoder.named_modules()
        if isinstance(module, tuners.BaseTunerLayer)
    ]


@torch.no_grad()
def _as_plain_weights(encoder: Any, state: dict[str, torch.Tensor], prefix: str, _: Any) -> None:
    """State-dict hook: each adapted layer's entries → the weight that it computes with."""
    for name, layer in _adapted_layers(encoder):
        start = f"{prefix}{name}."
        weight, bias = state.pop(f"{start}base_layer.weight"), state.pop(f"{start}base_layer.bias", None)
        for key in [key for key in state if key.startswith(start)]:
            del state[key]
        state[f"{start}weight"] = weight + layer.get_delta_weight("default").to(weight.dtype)
        if bias is not None:
            state[f"{start}bias"] = bias


def _peft() -> Any:
    try:
        import peft
        import peft.tuners.tuners_utils
    except ModuleNotFoundError as error:
        raise EmoNetError(f"{error.name} is not installed: pip install 'emonet[lm]'.") from error
    return peft
