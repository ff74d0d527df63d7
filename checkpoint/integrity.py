"""Check a checkpoint's files against their digests and its configuration.

Without digests, a flipped bit in a weight would silently change predictions. And a few
bytes in `config.json` could ask for modules and tensors without end, which a load
allocates before it misses them: the header of a safetensors file lists its tensors before
any is read.
"""

import copy
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, PretrainedConfig
from transformers.utils import logging

from ..errors import EmoNetError
from ..files.guard import check_module_counts, check_sizes, file_digest, read_json
from .adapters import DIGESTS_FILE, fetched

logger = logging.get_logger(__name__)

# Nobody edits these by hand, and none of them shows damage: a difference is an error.
_BINARY = (".safetensors", "tokenizer.json")
# Users edit these: a difference is a warning.
_TEXT = (
    "config.json",
    "speakers.json",
    "concepts.json",
    "biographies.json",
    "demonstrations.json",
    "chat_template.jinja",
)

_FETCH_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "token")
_NEW = 1 << 24  # new elements that any load may allocate, however small its file
_INDEX = re.compile(r"\.(\d+)\.")  # in a module list: `layer.3.`


@dataclass(frozen=True)
class WeightsHeader:
    """Names and shapes of the tensors of a checkpoint.

    Attributes:
        file: The name of the file, for messages.
        shapes: By tensor name.
    """

    file: str
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def find(cls, checkpoint: Any, options: Mapping[str, Any]) -> "WeightsHeader | None":
        """Read the header of all shards; None for a checkpoint without safetensors.

        Args:
            checkpoint: A folder or a repository.
            options: Those of `from_pretrained`.

        Raises:
            EmoNetError: for a file or an index that can't be read.
        """
        source = {name: options[name] for name in _FETCH_OPTIONS if options.get(name) is not None}
        variant = f".{options['variant']}" if options.get("variant") else ""
        folder = f"{options['subfolder']}/" if options.get("subfolder") else ""
        single_file = fetched(checkpoint, f"{folder}model{variant}.safetensors", **source)
        if single_file is not None:
            return cls(Path(single_file).name, _shapes(single_file))
        index = fetched(checkpoint, f"{folder}model.safetensors.index{variant}.json", **source)
        if index is None:
            return None
        try:
            names = sorted(set(read_json(index)["weight_map"].values()))
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise EmoNetError(
                f"{index}: not an index of shards ({error!r}); copy the checkpoint again."
            ) from error
        shapes: dict[str, tuple[int, ...]] = {}
        for name in names:
            if Path(name).name != name:
                raise EmoNetError(
                    f"{index}: {name!r:.80} is not the name of a file beside it; copy the checkpoint again."
                )
            if (shard := fetched(checkpoint, folder + name, **source)) is not None:
                shapes.update(_shapes(shard))
        return cls(Path(index).name, shapes)

    def beside(self, state: Mapping[str, torch.Tensor]) -> "WeightsHeader":
        """Add the tensors of another file."""
        return WeightsHeader(
            self.file, {**self.shapes, **{name: tuple(tensor.shape) for name, tensor in state.items()}}
        )

    def check(self, config: Any, build: Callable[[Any], Any], exact: bool = True, own: bool = False) -> None:
        """Refuse a configuration that asks for more than these weights.

        Nothing is allocated: the model is built on the meta device.

        Args:
            config: The configuration.
            build: Builds the model of a configuration.
            exact: Whether names and shapes are those of the file, not mapped or
                quantized.
            own: Whether to skip the backbone (for adapters, whose backbone is elsewhere).

        Raises:
            EmoNetError: for more layers or members than the file has, another shape, or
                missing parts.
        """
        check_module_counts(config.to_dict(), len(self.shapes), self.file)
        with torch.device("meta"):
            model = build(copy.deepcopy(config))
        backbone = getattr(model, "backbone_prefixes", ("",))
        tensors = [*model.named_parameters(), *model.named_buffers()]
        if own:
            tensors = [(name, tensor) for name, tensor in tensors if not name.startswith(backbone)]
        parameters = {name: tensor for name, tensor in tensors if isinstance(tensor, nn.Parameter)}
        missing = {name: tensor for name, tensor in parameters.items() if self._name(name, model) is None}
        new = sum(tensor.numel() for tensor in (missing if exact else parameters).values())
        held = sum(torch.Size(shape).numel() for shape in self.shapes.values())
        if new > max(held * (1 if exact else 16), _NEW):
            raise EmoNetError(
                f"config.json asks for {new:,} numbers that {self.file} does not hold; it is not loaded. "
                "Copy both files from the same training."
            )
        if not exact:
            return
        for name, tensor in tensors:
            shape = self.shapes.get(self._name(name, model) or "", tensor.shape)
            if tuple(tensor.shape) != tuple(shape):
                raise EmoNetError(
                    f"config.json asks for {name} of {tuple(tensor.shape)}, "
                    f"and in {self.file} it is {tuple(shape)}; copy both files from the same training."
                )
        for name in missing:
            if self._lacks(name, model, backbone):
                raise EmoNetError(
                    f"config.json asks for {name}, which {self.file} lacks; "
                    "copy both files from the same training."
                )

    def _name(self, name: str, model: nn.Module) -> str | None:
        """Find the file's name of a tensor, which may have another prefix."""
        prefix = f"{getattr(model, 'base_model_prefix', '')}."
        return next((key for key in _spellings(name, prefix) if key in self.shapes), None)

    def _lacks(self, name: str, model: nn.Module, backbone: tuple[str, ...]) -> bool:
        """Whether a missing tensor belongs to a part that the file holds otherwise.

        That is a module list that is longer than in the file, or a part outside the
        backbone that would be half random. A part that is missing as a whole is new.
        """
        prefix = f"{getattr(model, 'base_model_prefix', '')}."
        if name in getattr(model, "all_tied_weights_keys", {}):
            return False
        for match in _INDEX.finditer(name):
            starts = _spellings(name[: match.start() + 1], prefix)
            indices = _indices(self.shapes, starts)
            if indices and int(match[1]) > max(indices):
                return True
        if name.startswith(backbone) or (prefix + name).startswith(backbone):
            return False
        part = name.removeprefix(prefix).partition(".")[0]
        return any(key.removeprefix(prefix).partition(".")[0] == part for key in self.shapes)


def check_backbone(path: str, auto_class: Any, **options: Any) -> Any:
    """Load the configuration of a backbone and check its weights against it.

    Args:
        path: A folder or a Hub id.
        auto_class: The Auto class of its model.
        options: Where it is fetched from.

    Raises:
        EmoNetError: for sizes beyond its safetensors, before anything is allocated.
    """
    config = config_of(path, **options)
    header = WeightsHeader.find(path, options)
    if header is not None:
        exact = getattr(config, "quantization_config", None) is None
        header.check(config, partial(auto_class.from_config, trust_remote_code=False), exact=exact)
    return config


def config_of(path: str, **options: Any) -> Any:
    """Load a configuration, and refuse sizes that no model has before it is built.

    Raises:
        EmoNetError: for such a size, or a file that is nested too deeply.
    """
    try:
        fields, _ = PretrainedConfig.get_config_dict(path, **options)
    except RecursionError as error:
        raise EmoNetError(
            f"{path}: lists and objects of its config.json are nested too deeply; download it again."
        ) from error
    check_sizes(fields)
    return AutoConfig.from_pretrained(path, trust_remote_code=False, **options)


def _shapes(file: str) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, framework="pt") as weights:
            return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise EmoNetError(f"{file}: cannot read its weights ({error}); copy it again.") from error


def _is_whole(file: Path) -> bool:
    try:
        _shapes(str(file))
    except EmoNetError:
        return False
    return True


def _spellings(name: str, prefix: str) -> tuple[str, str, str]:
    """Spell a tensor's name as it is, with the prefix of the base model, and without."""
    return name, prefix + name, name.removeprefix(prefix)


def _indices(names: Iterable[str], starts: tuple[str, ...]) -> list[int]:
    """List the indices after any of the starts; -1 for names that go on otherwise."""
    ends = [name[len(start) :] for name in names for start in starts if name.startswith(start)]
    heads = (end.partition(".")[0] for end in ends)
    return [int(head) if head.isdigit() else -1 for head in heads]


def write_digests(folder: str | os.PathLike[str]) -> None:
    """Write the digests of the files in `folder` that determine a prediction."""
    files = sorted(
        path for path in Path(folder).iterdir() if path.name.endswith((*_BINARY, *_TEXT)) and path.is_file()
    )
    digests = {path.name: file_digest(path) for path in files}
    Path(folder, DIGESTS_FILE).write_text(json.dumps(digests, indent=1) + "\n", "utf-8")


def check_digests(folder: str | os.PathLike[str], verify_weights: bool = True) -> None:
    """Compare the files of `folder` with its digests; a folder without digests passes.

    Args:
        folder: A checkpoint.
        verify_weights: Whether other weights are an error too. Tools of others write
            them anew, to merge or convert models.

    Raises:
        EmoNetError: for weights or a tokenizer that differ from the saved ones.
    """
    file = Path(folder, DIGESTS_FILE)
    if not file.is_file():
        return
    try:
        digests = read_json(file)
        names = [name for name in digests if Path(folder, Path(name).name).is_file()]
    except (ValueError, TypeError) as error:
        raise EmoNetError(
            f"{file} can't be read ({error}): copy the checkpoint again, or delete the file."
        ) from error
    for name in names:
        path = Path(folder, Path(name).name)  # a name cannot lead out of the folder
        if file_digest(path) == digests[name]:
            continue
        if name.endswith(_TEXT):
            logger.warning(f"{path} was changed since it was saved.")
            continue
        if name.endswith(".safetensors") and not verify_weights and _is_whole(path):
            logger.warning(
                f"{path} was written again after the model was saved, or is damaged: its digest is not the "
                f"one in {DIGESTS_FILE}. To refuse such weights: from_pretrained(..., verify=True)."
            )
            continue
        raise EmoNetError(
            f"{path} is damaged, or was changed after it was saved: its digest is not the one in "
            f"{DIGESTS_FILE}. Copy the checkpoint again; if you changed it on purpose, delete "
            f"{DIGESTS_FILE}, or load it with verify=False."
        )
