"""Generate a run's model card from its files, and keep edits of an existing card."""

import os
import re
from pathlib import Path
from string import Template
from typing import Any

import yaml

from ..errors import EmoNetError
from .card_language_model import language_model
from .card_metadata import as_yaml, is_generated_widget, metadata
from .card_parts import citation, data_notes, fine_tuning, results, summary, training, usage
from .run_files import RunFiles

CARD = "README.md"
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
# The package's names of datasets: those of an earlier training are removed.
_VERSIONED = re.compile(r"-(\d+\.\d+\.\d+(\+cp1252)?|[0-9a-f]{8})\Z")
_MARKER = re.compile(r"<!-- emonet:(begin|end) (\w+) -->")


_PARTS = {
    "summary": summary,
    "usage": usage,
    "fine_tuning": fine_tuning,
    "results": results,
    "data": data_notes,
    "language_model": language_model,
    "training": training,
    "citation": citation,
}


def card_text(folder: Path, repo_id: str | None = None) -> str:
    """Generate the whole card from the files of `folder`.

    A part without facts is empty but present: facts that come later, such as test
    figures, can then be told from a part that someone has deleted.

    Raises:
        EmoNetError: If a file is not as a run writes it.
    """
    template = Path(__file__).with_name("card_template.md").read_text("utf-8")
    part = "files"
    try:
        files = RunFiles.read(Path(folder), repo_id)
        parts = {"metadata": metadata(files)}
        for part, write in _PARTS.items():
            # A label may look like a marker.
            parts[part] = write(files).replace("<!-- emonet:", "&lt;!-- emonet:")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, EmoNetError):
            raise
        raise EmoNetError(
            f"{folder}: run.json, config.json, speakers.json or the metrics are not as a run writes them "
            f"({part}: {error!r:.200}); restore the file, or delete it."
        ) from error
    return Template(template).substitute(parts).encode("utf-8", "replace").decode()


def merge_card(existing: str, generated: str) -> str:
    """Update the generated parts and the metadata of an existing card.

    All text outside the parts stays, and a deleted part stays deleted. In the metadata,
    keys that are not generated and a changed licence or language stay, and lists of tags
    are united. In a card without any part, only the metadata is updated.

    Raises:
        EmoNetError: If a part begins and does not end (or the reverse), or the metadata
            is not YAML.
    """
    fresh = dict(_pieces(generated))
    merged = "".join(text if name is None else fresh.get(name, text) for name, text in _pieces(existing))
    front = _metadata(existing)
    metadata = _merged_metadata(front, _metadata(generated))
    if metadata == front:
        return merged  # with the comments and order that somebody gave it
    body = _FRONT_MATTER.sub("", merged, count=1)
    return f"---\n{as_yaml(metadata)}\n---\n{body}"


def is_edited(card: str, generated: str) -> bool:
    """Return whether a card differs outside its metadata and generated parts."""
    return _frame(card) != _frame(generated)


def write_card(folder: str | os.PathLike[str], repo_id: str | None = None) -> Path:
    """Write the card of `folder` into it, or update the card that is there."""
    path = Path(folder, CARD)
    text = card_text(Path(folder), repo_id)
    if path.is_file():
        text = merge_card(path.read_text("utf-8"), text)
    temporary = path.with_name(f".{CARD}.{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def usage_snippet(card: str) -> str:
    """Return the first Python block of a card.

    Raises:
        EmoNetError: If there is none.
    """
    match = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    if match is None:
        raise EmoNetError("The card has no Python block.")
    return match[1]


def _pieces(card: str) -> list[tuple[str | None, str]]:
    """Divide a card into generated parts (name, text with its markers) and other text.

    Other text has None as its name.
    """
    pieces: list[tuple[str | None, str]] = []
    begin: re.Match[str] | None = None
    position = 0
    for marker in _MARKER.finditer(card):
        if begin is None and marker[1] == "begin":
            pieces.append((None, card[position : marker.start()]))
            begin = marker
        elif begin is not None and marker.groups() == ("end", begin[2]):
            position = marker.end()
            pieces.append((begin[2], card[begin.start() : position]))
            begin = None
        else:
            raise _unpaired(begin or marker)
    if begin is not None:
        raise _unpaired(begin)
    return [*pieces, (None, card[position:])]


def _frame(card: str) -> list[Any]:
    """Return the words between the parts, and the parts' names."""
    return [name or text.split() for name, text in _pieces(_FRONT_MATTER.sub("", card, count=1))]


def _unpaired(marker: re.Match[str]) -> EmoNetError:
    kind, name = marker.groups()
    does, other = (
        ("begins and does not end", "end") if kind == "begin" else ("ends and does not begin", "begin")
    )
    return EmoNetError(
        f"{CARD}: the part {name!r} {does}; put back '<!-- emonet:{other} {name} -->' "
        f"or take out {marker[0]!r}."
    )


def _metadata(card: str) -> dict[str, Any]:
    match = _FRONT_MATTER.match(card)
    try:
        found = yaml.safe_load(match[1]) if match else None
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise EmoNetError(
            f"{CARD}: its metadata is no YAML ({error}); correct or remove the lines between the first two "
            "'---'."
        ) from error
    if not isinstance(found, dict | None):
        raise EmoNetError(
            f"{CARD}: its metadata is no `key: value` YAML; correct or remove the lines between the first "
            "two '---'."
        )
    return found or {}


def _merged_metadata(existing: dict[str, Any], generated: dict[str, Any]) -> dict[str, Any]:
    if is_generated_widget(existing.get("widget")):
        existing = {key: value for key, value in existing.items() if key != "widget"}
    merged = {**generated, **{key: value for key, value in existing.items() if key not in generated}}
    for key in ("license", "language", "pipeline_tag", "widget"):
        if key in existing:
            merged[key] = existing[key]
    for key in ("tags", "datasets", "metrics"):
        old, new = existing.get(key), generated.get(key) or []
        if isinstance(old, list):
            stale = [item for item in old if key == "datasets" and _VERSIONED.search(str(item))]
            merged[key] = [*new, *(item for item in old if item not in [*new, *stale])]
        if merged.get(key) == []:
            del merged[key]
    return merged
