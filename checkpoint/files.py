"""Read and write the files beside a checkpoint's weights; turn logits into scores."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from transformers import AutoTokenizer
from transformers.utils.hub import cached_file

from ..files.guard import read_json

SPEAKERS_FILE = "speakers.json"
HUB_OPTIONS = (
    "cache_dir",
    "force_download",
    "local_files_only",
    "proxies",
    "revision",
    "subfolder",
    "token",
)


def _not_installed(*args: Any, **kwargs: Any) -> NoReturn:
    raise ModuleNotFoundError("No module named 'emonet'", name="emonet")


def _last_part(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1]


def _no_hub_id(name: str) -> None:
    return None


def _nothing(name: str) -> str:
    return ""


def _never(name: str) -> bool:
    return False


def _write_nothing(folder: str | os.PathLike[str], model: Any = None) -> None:
    pass


@dataclass
class PackageFunctions:
    """Functions that a checkpoint's code has only where emonet is installed.

    The installed package sets them (`auto_classes.py`).

    Attributes:
        resolve_backbone: Turn a backbone's name into what `from_pretrained` loads, and
            install embedded ones.
        backbone_name: Turn a result of `resolve_backbone` into the public name.
        built_in_path: Turn the name of a built-in model into its folder.
        is_built_in: Whether a folder is that of a built-in model.
        introduction: What a built-in model is and how good; nothing for others.
        hub_id: The Hub id of an embedded backbone's weights; None where the Hub has not
            the same, and for other names.
        flat_code: Flatten the code of a model; None where it is flat already.
        write_companions: Write card, handler and requirements into a saved folder, with
            an example that the model predicts.
        dialogue_biographer: See `speakers.biographies.choose`.
        utterance_embedder: See `inference.embedding`.
    """

    resolve_backbone: Callable[[str], str] = str
    backbone_name: Callable[[str], str] = _last_part
    hub_id: Callable[[str], str | None] = _no_hub_id
    built_in_path: Callable[[str], str] = str
    is_built_in: Callable[[str], bool] = _never
    introduction: Callable[[str], str] = _nothing
    flat_code: Callable[..., dict[str, str]] | None = None
    write_companions: Callable[..., None] = _write_nothing
    dialogue_biographer: Callable[..., Any] = _not_installed
    utterance_embedder: Callable[..., Any] = _not_installed

    @property
    def is_installed(self) -> bool:
        """Whether the package set these functions."""
        return self.resolve_backbone is not str


package = PackageFunctions()


def hub_options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Select the options that say where files are fetched from."""
    return {name: value for name, value in kwargs.items() if name in HUB_OPTIONS}


def tokenizer_of(checkpoint: str, config: Any, **options: Any) -> Any:
    """Load the tokenizer beside a checkpoint; built-in heads have their backbone's.

    Raises:
        ValueError: where there is none that loads.
    """
    if package.is_built_in(checkpoint) and not any(Path(checkpoint).glob("tokenizer*")):
        return backbone_tokenizer(config.backbone)
    try:
        # With the backbone's config AutoTokenizer could choose the class of that family,
        # not the saved one.
        return AutoTokenizer.from_pretrained(checkpoint, config=config, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{checkpoint!r}: cannot load its tokenizer; save it beside the weights with "
            f"processor.save_pretrained(folder). ({error})"
        ) from error


def backbone_tokenizer(backbone: str, **kwargs: Any) -> Any:
    """Load the tokenizer of a backbone: a Hub id, a folder, `minilm` or `smollm2`."""
    path = package.resolve_backbone(backbone)
    return AutoTokenizer.from_pretrained(path, trust_remote_code=False, **kwargs)


def speakers_of(checkpoint: str, **options: Any) -> dict[str, int]:
    """Read the global ids by name from the `speakers.json` beside a checkpoint.

    Raises:
        ValueError: where there is none, or one that can't be read.
    """
    try:
        path = cached_file(checkpoint, SPEAKERS_FILE, **options)
    except OSError as error:
        raise ValueError(
            f"{checkpoint!r} has no {SPEAKERS_FILE}: without it every speaker would be the unknown one. "
            'Copy it from the training run, or write {"version": 1, "speakers": []} to accept that.'
        ) from error
    return read_speakers(str(path))


def read_speakers(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read the global ids by name from a `speakers.json`: names in order, ids from 1.

    Raises:
        ValueError: for a file that can't be read.
    """
    try:
        names = read_json(path)["speakers"]
        return {str(name): speaker_id for speaker_id, name in enumerate(names, start=1)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not a speaker registry ({error}); copy it again from the training run."
        ) from error


def write_speakers(folder: str | os.PathLike[str], names: Iterable[str]) -> None:
    """Write `speakers.json`, with the names in order of their ids."""
    document = {"version": 1, "speakers": list(names)}
    Path(folder, SPEAKERS_FILE).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def labelled(logits: np.ndarray, config: Any) -> list[dict[str, Any]]:
    """Turn logits (T, C) into `label`, `score` and calibrated `scores` of every turn."""
    logits = logits / config.calibration_temperature
    exps = np.exp(logits - logits.max(-1, keepdims=True))
    names = config.label_names
    results = []
    for row in exps / exps.sum(-1, keepdims=True):
        best = int(row.argmax())
        scores = {name: float(score) for name, score in zip(names, row, strict=True)}
        results.append({"label": names[best], "score": float(row[best]), "scores": scores})
    return results
