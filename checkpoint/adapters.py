"""Adapters on disk: what a folder or a repository without a backbone's weights holds, and
how it is made whole, without peft.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.pytorch_utils import Conv1D
from transformers.utils import cached_file

from ..errors import EmoNetError
from ..files.guard import read_json
from .files import hub_options

ADAPTER_FILE, ADAPTER_WEIGHTS = "emonet_adapter.json", "emonet_adapter.safetensors"


@dataclass(frozen=True)
class Adapter:
    """Low-rank updates (Hu et al. 2022) and what stands behind the backbone.

    Attributes:
        facts: `backbone`, `base_digest` and `base_dtype` (of the backbone's weights),
            `rank`, `alpha` …
        state: Tensors by parameter name.
    """

    facts: dict[str, Any]
    state: dict[str, torch.Tensor]

    @classmethod
    def find(cls, checkpoint: Any, kwargs: dict[str, Any]) -> "Adapter | None":
        """The adapters of a folder or a repository; None where it holds a whole model.

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
                f"{checkpoint}: no adapters that load ({error!r}); save_adapter(model, folder) writes them."
            ) from error
        return adapter

    @property
    def backbone(self) -> str:
        return self.facts["backbone"]

    @property
    def base_dtype(self) -> torch.dtype:
        """In which the backbone's weights have `base_digest`: they are loaded and merged
        in it, and cast after that.
        """
        return getattr(torch, self.facts.get("base_dtype", "float32"))

    @property
    def scale(self) -> float:
        """What the product of the two factors is multiplied by."""
        alpha = self.facts["alpha"]
        return 2.0 if alpha is None else alpha / self.facts["rank"]

    @torch.no_grad()
    def merge_into(self, model: Any, source: str, backbone: str | None = None) -> None:
        """Add the updates to a model on its pretrained backbone and put what was trained
        beside them in place.

        Raises:
            EmoNetError: for a backbone with other weights, or adapters of another model.
        """
        if weights_digest(model.adapted) != self.facts["base_digest"]:
            raise EmoNetError(
                f"{source}: its adapters belong to other weights of {self.backbone!r} than {backbone or 'the ones found here'}; "
                "give the backbone they were trained on."
            )
        targets = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        own = {name for name in targets if not name.startswith(model.backbone_prefixes)}
        for name, tensor in self.state.items():
            layer_name, factor, _ = name.partition(".lora_A.")
            if factor:
                layer = model.get_submodule(layer_name)
                update = self.scale * (self.state[name.replace(".lora_A.", ".lora_B.")] @ tensor)
                weight = layer.weight
                weight.add_((update.T if isinstance(layer, Conv1D) else update).to(weight))
            elif ".lora_B." not in name:
                if name not in own:
                    raise EmoNetError(f"{source}: adapters of another model; this one has no {name!r}.")
                targets[name].copy_(tensor)
        if missing := sorted(own - set(self.state)):
            raise EmoNetError(f"{source}: adapters of another model; they lack {missing[0]!r}.")


def is_adapter(checkpoint: Any, **options: Any) -> bool:
    """Whether a folder or a repository is what `save_adapter` wrote, rather than a whole
    checkpoint.
    """
    return fetched(checkpoint, ADAPTER_FILE, **options) is not None


def weights_digest(module: torch.nn.Module) -> str:
    """Digest of a module's weights: two encoders with the same digest compute the same."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fetched(checkpoint: Any, name: str, **options: Any) -> str | None:
    """The path of a file of a folder or a repository, None where it has none.

    Args:
        options: Those of `hub_options`.
    """
    if Path(checkpoint).is_dir():
        path = Path(checkpoint, options.get("subfolder") or "", name)
        return str(path) if path.is_file() else None
    return cached_file(
        str(checkpoint),
        name,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **options,
    )
