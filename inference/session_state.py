"""Check the files of a saved session field by field.

They are input: a changed file must raise an error, never give a wrong emotion.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from ..dialogue.names import Speakers, speaker_kinds
from ..errors import EmoNetError
from ..files.guard import read_json


def read_state(
    file: Path, version: int, model: str, keys: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    """Read the fields of a session's JSON file.

    Args:
        file: The file.
        version: The version of the format.
        model: The fingerprint of the model that the session is restored on.
        keys: The required fields, besides `version` and `model`.
        optional: The other fields that it may have.

    Raises:
        EmoNetError: for a missing file or field, an unknown field, another version or
            another model.
    """
    try:
        state = read_json(file)
    except OSError as error:
        raise EmoNetError(f"{file.parent}: no saved session ({error}).") from error
    if not isinstance(state, dict):
        raise _damaged(f"expected an object in {file.name}, got {type(state).__name__}")
    required = {"version", "model", *keys}
    if missing := sorted(required - set(state)):
        raise EmoNetError(f"{file.parent}: no saved session ({file.name} has no {missing[0]!r}).")
    expect(state["version"] == version, f"version {state['version']!r:.40}, but this emonet reads {version}")
    unknown = sorted(set(state) - required - set(optional))
    expect(not unknown, f"unknown field {unknown[:1]!r:.80}")
    if state["model"] != model:
        raise EmoNetError(
            f"{file.parent}: the session of another model; restore it on the model it was saved with."
        )
    return state


def expect(valid: bool, fault: str) -> None:
    """Raise EmoNetError with the fault, unless the state is valid."""
    if not valid:
        raise _damaged(fault)


def whole_number(value: Any, name: str, low: int = 0, below: float = float("inf")) -> int:
    """Check that a field is a whole number from `low` to under `below`."""
    valid = isinstance(value, int) and not isinstance(value, bool) and low <= value < below
    expect(valid, f"{name} is {value!r:.40}")
    return int(value)


def whole_numbers(value: Any, name: str, below: float = float("inf")) -> list[int]:
    """Check that a field is a list of whole numbers from 0 to under `below`."""
    expect(isinstance(value, list), f"{name} is not a list")
    return [whole_number(item, name, 0, below) for item in value]


def strings_by_name(value: Any, name: str) -> dict[str, list[str]]:
    """Check that a field is an object of lists of strings."""
    if not isinstance(value, dict):
        raise _damaged(f"{name} is not an object")
    for texts in value.values():
        valid = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        expect(valid, f"{name} has values that are not lists of strings")
    return value


def checked_tensor(
    tensors: dict[str, torch.Tensor], name: str, like: torch.Tensor, **sizes: range
) -> torch.Tensor:
    """Remove a tensor from `tensors` and check it.

    Args:
        tensors: The tensors of the file that are not read yet.
        name: The tensor's name.
        like: A tensor of the same type and, apart from `sizes`, the same shape.
        sizes: The sizes that dimension 0 (`dim0`), 1 (`dim1`) … may have.
    """
    expect(name in tensors, f"its tensors lack {name!r}")
    tensor = tensors.pop(name)
    allowed = [sizes.get(f"dim{dim}", range(size, size + 1)) for dim, size in enumerate(like.shape)]
    valid = tensor.dim() == like.dim() and all(
        size in allowed_sizes for size, allowed_sizes in zip(tensor.shape, allowed, strict=True)
    )
    expect(valid and tensor.dtype == like.dtype, f"{name!r} is {list(tensor.shape)} {tensor.dtype}")
    expect(bool(tensor.isfinite().all()), f"{name!r} has values that are not finite numbers")
    return tensor


def _damaged(fault: str) -> EmoNetError:
    return EmoNetError(f"a saved session that is damaged or was changed: {fault}; start a new one")


def speakers_given(value: Any) -> Speakers:
    """Check who was given as persons, as in [`speaker_kinds`].

    Raises:
        EmoNetError: for another value.
    """
    try:
        return speaker_kinds((), value).record
    except ValueError as error:
        raise _damaged(f"speakers is {value!r:.80}") from error
