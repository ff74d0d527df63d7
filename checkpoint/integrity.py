"""Check that a checkpoint's files are the ones that were saved, and hold what its
configuration asks for.

A flipped bit in a weight would otherwise be another prediction and nothing said. And a
few bytes in `config.json` could ask for modules and tensors without end, which a load
makes before it misses them: the header of a safetensors file says what is there before a
tensor is read.
"""

import copy
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, PretrainedConfig
from transformers.utils import logging

from ..errors import EmoNetError
from ..files.guard import check_module_counts, check_sizes, file_digest, read_json
from .adapters import fetched

logger = logging.get_logger(__name__)

DIGESTS_FILE = "digests.json"
# Nobody edits these by hand, and none of them shows that it was damaged.
_BINARY = (".safetensors", "tokenizer.json")
# These people do edit, so a difference is only told.
_TEXT = (
    "config.json",
    "speakers.json",
    "concepts.json",
    "biographies.json",
    "demonstrations.json",
    "chat_template.jinja",
)

_FETCH_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "token")
_NEW = 1 << 24  # elements that a load may make anew beside a small file's
_NUMBER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True)
class WeightsHeader:
    """Names and shapes of the tensors of a checkpoint.

    Attributes:
        file: The name of the file, for messages. shapes: By tensor name.
    """

    file: str
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def find(cls, checkpoint: Any, options: Mapping[str, Any]) -> "WeightsHeader | None":
        """The header of a folder or a repository, of all its shards; None where it has no
        safetensors.

        Args:
            options: Of `from_pretrained`, those that say which file and where from among
                them.

        Raises:
            EmoNetError: for a file or an index that can't be read.
        """
        place = {name: options[name] for name in _FETCH_OPTIONS if options.get(name) is not None}
        variant = f".{options['variant']}" if options.get("variant") else ""
        folder = f"{options['subfolder']}/" if options.get("subfolder") else ""
        whole = fetched(checkpoint, f"{folder}model{variant}.safetensors", **place)
        if whole is not None:
            return cls(Path(whole).name, _shapes(whole))
        index = fetched(checkpoint, f"{folder}model.safetensors.index{variant}.json", **place)
        if index is None:
            return None
        try:
            names = sorted(set(read_json(index)["weight_map"].values()))
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise EmoNetError(f"{index}: no index of shards ({error!r}).") from error
        shapes: dict[str, tuple[int, ...]] = {}
        for name in names:
            if Path(name).name != name:
                raise EmoNetError(f"{index}: {name!r:.80} is no name of a file beside it.")
            if (shard := fetched(checkpoint, folder + name, **place)) is not None:
                shapes.update(_shapes(shard))
        return cls(Path(index).name, shapes)

    def beside(self, state: Mapping[str, torch.Tensor]) -> "WeightsHeader":
        """With the tensors of another file that is read already."""
        return WeightsHeader(
            self.file, {**self.shapes, **{name: tuple(tensor.shape) for name, tensor in state.items()}}
        )

    def check(self, config: Any, build: Callable[[Any], Any], exact: bool = True, own: bool = False) -> None:
        """Refuse a configuration whose model is beyond these weights; nothing is
        allocated.

        Args:
            build: Makes the model of a configuration. exact: Whether names and shapes are
                those of the file, not mapped or
                quantized. own: Whether only what is not the backbone's is compared
                    (adapters, whose backbone is elsewhere).

        Raises:
            EmoNetError: for more layers or members than the file has, another shape, or
                parts that it lacks.
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
                f"config.json asks for {new:,} numbers that {self.file} does not hold; it is not loaded."
            )
        if not exact:
            return
        for name, tensor in tensors:
            shape = self.shapes.get(self._name(name, model) or "", tensor.shape)
            if tuple(tensor.shape) != tuple(shape):
                raise EmoNetError(
                    f"config.json asks for {name} of {tuple(tensor.shape)}, and in {self.file} it is {tuple(shape)}; copy both "
                    "from one training."
                )
        for name in missing:
            if self._lacks(name, model, backbone):
                raise EmoNetError(
                    f"config.json asks for {name}, which {self.file} lacks; copy both files from the same training."
                )

    def _name(self, name: str, model: Any) -> str | None:
        """What the file calls a tensor of the model, which is saved with or without the
        part around its base model.
        """
        prefix = f"{getattr(model, 'base_model_prefix', '')}."
        return next(
            (each for each in (name, prefix + name, name.removeprefix(prefix)) if each in self.shapes), None
        )

    def _lacks(self, name: str, model: Any, backbone: tuple[str, ...]) -> bool:
        """Whether a missing tensor is of a part that the file has: a longer list, or a
        part of ours that would be half random.
        """
        prefix = f"{getattr(model, 'base_model_prefix', '')}."
        if name in getattr(model, "all_tied_weights_keys", {}):
            return False
        for number in _NUMBER.finditer(name):
            start = name[: number.start() + 1]
            known = {start, prefix + start, start.removeprefix(prefix)}
            places = [each for each in self.shapes if any(each.startswith(one) for one in known)]
            if places and int(number[1]) > max(_places(places, known)):
                return True
        if name.startswith(backbone) or (prefix + name).startswith(backbone):
            return False
        part = name.removeprefix(prefix).partition(".")[0]
        return any(each.removeprefix(prefix).partition(".")[0] == part for each in self.shapes)


def check_backbone(path: str, auto_class: Any, **options: Any) -> Any:
    """The configuration of a backbone (a folder or a Hub id) whose weights are as it
    says.

    Args:
        auto_class: What makes its model. options: Where it is fetched from.

    Raises:
        EmoNetError: for sizes beyond its safetensors, found before anything is allocated.
    """
    config = config_of(path, **options)
    header = WeightsHeader.find(path, options)
    if header is not None:
        exact = getattr(config, "quantization_config", None) is None
        header.check(config, lambda each: auto_class.from_config(each, trust_remote_code=False), exact=exact)
    return config


def config_of(path: str, **options: Any) -> Any:
    """As `AutoConfig.from_pretrained`, once its file is known to state no size that no
    model has.
    """
    try:
        fields, _ = PretrainedConfig.get_config_dict(path, **options)
    except RecursionError as error:
        raise EmoNetError(f"{path}: lists and objects of its config.json are nested too deeply.") from error
    check_sizes(fields)
    return AutoConfig.from_pretrained(path, trust_remote_code=False, **options)


def _shapes(file: str) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, framework="pt") as weights:
            return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise EmoNetError(f"{file} holds no weights that can be read ({error}); copy it anew.") from error


def _places(names: list[str], starts: set[str]) -> list[int]:
    """The numbers behind any of the starts."""
    ends = (name[len(start) :] for name in names for start in starts if name.startswith(start))
    return [int(end.partition(".")[0]) for end in ends if end.partition(".")[0].isdigit()] or [-1]


def write_digests(folder: str | os.PathLike[str]) -> None:
    """Write the digests of the files in `folder` that decide a prediction."""
    files = sorted(
        path for path in Path(folder).iterdir() if path.name.endswith((*_BINARY, *_TEXT)) and path.is_file()
    )
    digests = {path.name: file_digest(path) for path in files}
    Path(folder, DIGESTS_FILE).write_text(json.dumps(digests, indent=1) + "\n", "utf-8")


def check_digests(folder: str | os.PathLike[str]) -> None:
    """Compare the files of `folder` with the digests that were written beside them; a
    folder without digests passes.

    Raises:
        EmoNetError: for weights or a tokenizer that are not the ones that were saved.
    """
    file = Path(folder, DIGESTS_FILE)
    if not file.is_file():
        return
    try:
        digests = read_json(file)
        names = [name for name in digests if Path(folder, Path(name).name).is_file()]
    except (ValueError, TypeError) as error:
        raise EmoNetError(
            f"{file} can't be read ({error}): copy the checkpoint anew, or delete the file."
        ) from error
    for name in names:
        path = Path(folder, Path(name).name)  # no way out of the folder
        if file_digest(path) == digests[name]:
            continue
        if name.endswith(_TEXT):
            logger.warning(f"{path} was changed since it was saved.")
            continue
        raise EmoNetError(
            f"{path} is damaged, or was changed after it was saved: its digest is not the one in {DIGESTS_FILE}. Copy the "
            f"checkpoint anew; if the change is meant, delete {DIGESTS_FILE}."
        )
