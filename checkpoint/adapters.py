"""Read adapters from disk and merge them into their backbone, without peft."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D
from transformers.utils.hub import cached_file

from ..errors import EmoNetError
from ..files.guard import read_json
from .files import hub_options

ADAPTER_FILE, ADAPTER_WEIGHTS = "emonet_adapter.json", "emonet_adapter.safetensors"


class AdaptableModel(Protocol):
    """What adapters need of a model: both forms of EmoNet have it."""

    config: Any

    @property
    def processor(self) -> Any:
        """The model's processor."""
        ...

    @property
    def adapted(self) -> Any:
        """The transformer that gets the adapters."""
        ...

    @property
    def backbone_prefixes(self) -> tuple[str, ...]:
        """How the names of the backbone's weights begin."""
        ...

    @classmethod
    def on_backbone(cls, backbone: str, config: Any, **load: Any) -> Any:
        """Build a model of a configuration on pretrained weights."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Iterate over the weights."""
        ...

    def get_submodule(self, target: str) -> nn.Module:
        """Find a layer by name."""
        ...

    def named_buffers(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Iterate over the buffers."""
        ...

    def save_without_weights(self, folder: str | Path) -> None:
        """Write code, configuration, tokenizer and speakers."""
        ...


@dataclass(frozen=True)
class Adapter:
    """Low-rank updates (Hu et al. 2022) and the trained weights outside the backbone.

    Attributes:
        facts: `backbone`, `base_digest` and `base_dtype` (of the backbone's weights),
            `rank`, `alpha` …
        state: Tensors by parameter name.
    """

    facts: dict[str, Any]
    state: dict[str, torch.Tensor]

    @classmethod
    def find(cls, checkpoint: Any, kwargs: dict[str, Any]) -> "Adapter | None":
        """Read the adapters of a folder or a repository; None for a whole model.

        Args:
            checkpoint: The folder or the repository.
            kwargs: Those of `from_pretrained`.

        Raises:
            EmoNetError: for adapters that can't be read.
        """
        options = hub_options(kwargs)
        if not is_adapter(checkpoint, **options):
            return None
        try:
            paths = [fetched(checkpoint, name, **options) for name in (ADAPTER_FILE, ADAPTER_WEIGHTS)]
            facts = read_json(str(paths[0]))
            adapter = cls(facts, load_file(str(paths[1])))
            adapter.scale, adapter.backbone, adapter.base_dtype, facts["base_digest"]
        except (OSError, AttributeError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise EmoNetError(
                f"{checkpoint}: cannot load its adapters ({error!r}); "
                "write them again with save_adapter(model, folder)."
            ) from error
        return adapter

    @property
    def backbone(self) -> str:
        """The name of the backbone."""
        return str(self.facts["backbone"])

    @property
    def base_dtype(self) -> torch.dtype:
        """The dtype in which the backbone's weights have `base_digest`.

        They are loaded and merged in it, and cast after that.
        """
        dtype: torch.dtype = getattr(torch, self.facts.get("base_dtype", "float32"))
        return dtype

    @property
    def scale(self) -> float:
        """The factor of the product of the two low-rank matrices."""
        alpha = self.facts["alpha"]
        return 2.0 if alpha is None else float(alpha / self.facts["rank"])

    @torch.no_grad()
    def merge_into(self, model: AdaptableModel, source: str, backbone: str | None = None) -> None:
        """Add the updates to the backbone and load the weights outside of it.

        Args:
            model: A model on its pretrained backbone.
            source: Where the adapters are from, for messages.
            backbone: Where the backbone is from, for messages.

        Raises:
            EmoNetError: for a backbone with other weights, or adapters of another model.
        """
        if weights_digest(model.adapted) != self.facts["base_digest"]:
            raise EmoNetError(
                f"{source}: its adapters belong to other weights of {self.backbone!r} "
                f"than {backbone or 'the ones found here'}; give the backbone they were trained on."
            )
        targets = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        own = {name for name in targets if not name.startswith(model.backbone_prefixes)}
        for name, tensor in self.state.items():
            layer_name, factor, _ = name.partition(".lora_A.")
            if factor:
                layer: Any = model.get_submodule(layer_name)
                update = self.scale * (self.state[name.replace(".lora_A.", ".lora_B.")] @ tensor)
                weight = layer.weight
                # Conv1D stores its weight transposed.
                weight.add_((update.T if isinstance(layer, Conv1D) else update).to(weight))
            elif ".lora_B." not in name:
                if name not in own:
                    raise EmoNetError(f"{source}: adapters of another model; this one has no {name!r}.")
                targets[name].copy_(tensor)
        if missing := sorted(own - set(self.state)):
            raise EmoNetError(f"{source}: adapters of another model; they lack {missing[0]!r}.")


def is_adapter(checkpoint: Any, **options: Any) -> bool:
    """Whether a folder or a repository holds adapters, not a whole checkpoint."""
    return fetched(checkpoint, ADAPTER_FILE, **options) is not None


def weights_digest(module: torch.nn.Module) -> str:
    """Compute the SHA-256 digest of a module's names and weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fetched(checkpoint: Any, name: str, **options: Any) -> str | None:
    """Get the local path of a file of a folder or a repository, None where it is missing.

    Args:
        checkpoint: The folder or the repository.
        name: Of the file.
        options: Those of `hub_options`.
    """
    if Path(checkpoint).is_dir():
        path = Path(checkpoint, options.get("subfolder") or "", name)
        return str(path) if path.is_file() else None
    cached: str | None = cached_file(
        str(checkpoint),
        name,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **options,
    )
    return cached
