"""Add LoRA adapters (Hu et al. 2022) to a backbone with peft, save and merge them.

The state dict of a model with adapters is that of the merged model: whatever saves it
writes plain weights, which load without peft, through the Auto classes and on the Hub.
The adapters themselves are saved in a file of their own.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..checkpoint.adapters import AdaptableModel, Base, learnt_state, weights_digest
from ..checkpoint.run_record import RUN_FILE, write_json
from ..errors import EmoNetError
from ..files.guard import refuse_outside_links

ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class LoraSettings:
    """Size and target layers of the adapters.

    Args:
        rank: Width of the two factors.
        alpha: The update is scaled by `alpha / rank`; `None`: twice the rank.
        dropout: Dropout before the first factor, in training.
        target_modules: Names of the layers (`q_proj,v_proj`), or `all-linear`.
    """

    rank: int = 16
    alpha: float | None = None
    dropout: float = 0.05
    target_modules: str = ALL_LINEAR

    @classmethod
    def of(cls, arguments: Any) -> "LoraSettings":
        """Take the settings from `EmoNetTrainingArguments`."""
        return cls(
            arguments.lora_rank, arguments.lora_alpha, arguments.lora_dropout, arguments.lora_target_modules
        )

    @property
    def scale_alpha(self) -> float:
        """`alpha`, with its default."""
        return 2 * self.rank if self.alpha is None else self.alpha

    @property
    def targets(self) -> str | list[str]:
        """`target_modules` as peft expects them."""
        names = [name.strip() for name in self.target_modules.split(",")]
        return ALL_LINEAR if names == [ALL_LINEAR] else names


@dataclass
class _Adapters:
    """What the backbone remembers of its adapters until they are merged."""

    settings: LoraSettings
    base_digest: str
    base_dtype: str
    hook: Any


def add_adapters(model: AdaptableModel, settings: LoraSettings) -> None:
    """Add adapters to the backbone, in place, and freeze its own weights.

    The adapters and the layers after the backbone remain trainable.

    Raises:
        EmoNetError: If peft is not installed, the backbone has none of the target layers,
            or the model has adapters already.
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


def has_adapters(model: AdaptableModel) -> bool:
    """Whether the backbone has adapters that are not merged."""
    return getattr(model.adapted, "emonet_adapters", None) is not None


@torch.no_grad()
def merge_adapters(model: AdaptableModel) -> None:
    """Merge the adapters into the backbone's weights, in place.

    The model computes the same as before, without peft.
    """
    encoder = model.adapted
    for name, layer in _adapted_layers(encoder):
        layer.merge(safe_merge=True)
        encoder.set_submodule(name, layer.get_base_layer())
    encoder.emonet_adapters.hook.remove()
    del encoder.emonet_adapters


def _tensors(model: AdaptableModel) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def save_adapter(model: AdaptableModel, folder: str | Path, record: dict[str, Any] | None = None) -> None:
    """Write adapters and head, with code, configuration, tokenizer and speakers.

    The folder has some megabytes instead of the whole model. `from_pretrained` loads it
    and merges the adapters into their backbone.

    Args:
        model: The model with adapters.
        folder: Where to write.
        record: Content of `run.json`, for the card.

    Raises:
        EmoNetError: If the model has no adapters.
    """
    if not has_adapters(model):
        raise EmoNetError("The model has no adapters: they are merged, or it was trained without them.")
    folder = Path(folder)
    refuse_outside_links(folder)
    folder.mkdir(parents=True, exist_ok=True)
    adapters = model.adapted.emonet_adapters
    if record is not None:
        write_json(folder / RUN_FILE, record)
    base = Base(model.config.backbone, adapters.base_digest, adapters.base_dtype)
    model.save_learnt(folder, base, asdict(adapters.settings))


def load_trained_state(model: AdaptableModel, state: dict[str, torch.Tensor], source: str) -> None:
    """Load what `learnt_state` returned into a model with the same adapters.

    Args:
        model: The model with adapters.
        state: Tensors by name.
        source: Where they come from, for the error.

    Raises:
        EmoNetError: If the adapters are not those of the model.
    """
    different = sorted(set(learnt_state(model)) ^ set(state))
    if different:
        raise EmoNetError(
            f"{source}: its adapters are not those of the model, for example {different[0]!r}; "
            "train with the same settings."
        )
    targets = _tensors(model)
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
    """State-dict hook: replace the entries of each adapted layer by its merged weight."""
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
