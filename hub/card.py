"""The model card of a run: made from its files, and merged into a card that was edited by hand."""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import yaml

from ..errors import EmoNetError
from .card_parts import citation, data_notes, metadata, results, summary, training, usage

CARD = "README.md"
_FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
_BEGIN = re.compile(r"<!-- emonet:begin (\w+) -->")


@dataclass
class RunFiles:
    """What a run folder says about itself; what it does not hold is empty.

    Attributes:
        config: `config.json`. run: `run.json`. figures: Test figures where there are some, else validation's (without classes
            where a plain Trainer ran). speakers: Names of
            known persons. name: Hub id, or the folder's name. plot: Whether the confusion matrix lies there as a picture.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    speakers: list[str] = field(default_factory=list)
    plot: bool = False

    @classmethod
    def read(cls, folder: Path, repo_id: str | None = None) -> "RunFiles":
        """The files of `folder`."""
        test, validation = _json(folder / "test_metrics.json"), _json(folder / "metrics.json")
        config, run = _json(folder / "config.json"), _json(folder / "run.json")
        figures = test or validation
        if not figures:  # a plain Trainer leaves the epochs' figures alone
            kept: dict[str, Any] = next((row for row in run.get("epochs", []) if row["epoch"] == run.get("best_epoch")), {})
            figures = {**kept, "dataset_version": config.get("dataset_version")} if kept else {}
        return cls(
            name=repo_id or folder.resolve().name,
            config=config,
            run=run,
            figures=figures,
            speakers=_json(folder / "speakers.json").get("speakers", []),
            plot=(folder / "confusion_matrix.png").is_file() and not test,
        )


def card_text(folder: Path, repo_id: str | None = None) -> str:
    """The whole card as it is generated from the files of `folder`; parts without facts are left out."""
    files = RunFiles.read(Path(folder), repo_id)
    template = Path(__file__).with_name("card_template.md").read_text("utf-8")
    card = Template(template).substitute(
        metadata=metadata(files).strip(),
        summary=summary(files),
        usage=usage(files),
        results=results(files),
        data=data_notes(files),
        training=training(files),
        citation=citation(files),
    )
    return re.sub(r"<!-- emonet:begin (\w+) -->\n\s*<!-- emonet:end \1 -->\n\n?", "", card)


def merge_card(existing: str, generated: str) -> str:
    """`existing` with the generated parts and metadata brought up to date.

    All text outside the parts stays; a part that was deleted stays deleted. In the metadata, keys that are not generated and a
    changed licence or language stay, lists of tags are united. A card without any part is left as it is, but for its metadata.

    Raises:
        EmoNetError: for a part that begins and does not end.
    """
    fresh = _parts(generated)
    merged = existing
    for name, text in _parts(existing).items():
        if name in fresh:
            merged = merged.replace(text, fresh[name])
    body = _FRONT_MATTER.sub("", merged, count=1)
    metadata = _merged_metadata(_metadata(existing), _metadata(generated))
    return f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=120).strip()}\n---\n{body}"


def write_card(folder: str | os.PathLike[str], repo_id: str | None = None) -> Path:
    """Write the card of `folder` into it, or bring the generated parts of the card there up to date."""
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
    """The first Python block of a card."""
    match = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    if match is None:
        raise EmoNetError("The card has no Python block.")
    return match[1]


def _parts(card: str) -> dict[str, str]:
    """The generated parts of a card by name, their markers included."""
    parts = {}
    for begin in _BEGIN.finditer(card):
        end = f"<!-- emonet:end {begin[1]} -->"
        stop = card.find(end, begin.end())
        following = _BEGIN.search(card, begin.end())
        if stop < 0 or (following and following.start() < stop):
            raise EmoNetError(f"{CARD}: the part {begin[1]!r} begins and does not end; put back {end!r} or take out its begin.")
        parts[begin[1]] = card[begin.start() : stop + len(end)]
    return parts


def _metadata(card: str) -> dict[str, Any]:
    match = _FRONT_MATTER.match(card)
    try:
        found = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError as error:
        raise EmoNetError(
            f"{CARD}: its metadata is no YAML ({error}); mend or remove the lines between the first two '---'."
        ) from error
    return found if isinstance(found, dict) else {}


def _merged_metadata(existing: dict[str, Any], generated: dict[str, Any]) -> dict[str, Any]:
    merged = {**generated, **{key: value for key, value in existing.items() if key not in generated}}
    for key in ("license", "language", "pipeline_tag", "widget"):
        if key in existing:
            merged[key] = existing[key]
    for key in ("tags", "datasets", "metrics"):
        old, new = existing.get(key), generated.get(key)
        if isinstance(old, list) and isinstance(new, list):
            merged[key] = [*new, *(item for item in old if item not in new)]
    return merged


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise EmoNetError(f"{path}: no JSON ({error}); the card is made from it. Restore the file or delete it.") from error
    return content if isinstance(content, dict) else {}
