"""Write the downloads: all turns as CSV and JSON, the timeline as PNG.

A file is made on request and sent to the browser; the server stores none.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from ...files.spreadsheet_cells import Cell, csv_of
from .analysis import Analysis
from .timeline import timeline_picture

_TITLE = "Emotions by turn, predicted by "
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it, Excel does not read UTF-8


def csv_text(analysis: Analysis) -> str:
    """Return one row for each turn, with a column for each emotion's probability.

    A script with times, such as subtitles, has the columns `start` and `end` too.
    """
    times = ["start", "end"] if any("start" in turn for turn in analysis.turns) else []
    rows: list[list[Cell]] = []
    for name, turns in analysis.dialogues:
        for index, turn in enumerate(turns):
            row = [name, index, *(turn.get(time) for time in times), turn["speaker"], turn["text"]]
            scores = [turn["score"], *(turn["scores"][label] for label in analysis.labels)]
            rows.append([*row, turn["label"], *(round(score, 6) for score in scores)])
    header = ["dialogue_id", "turn", *times, "speaker", "text", "label", "score", *analysis.labels]
    return csv_of(header, rows)


def json_text(analysis: Analysis, model: str) -> str:
    """Return the model's name, the labels, and the dialogues with their turns."""
    dialogues: list[dict[str, Any]] = [
        {"dialogue_id": name, "turns": turns} for name, turns in analysis.dialogues
    ]
    content = {"model": model, "labels": analysis.labels, "dialogues": dialogues}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


DOWNLOADS: dict[str, tuple[str, str, Callable[[Analysis, str], bytes]]] = {
    "Download CSV": (
        "emotions.csv",
        "text/csv;charset=utf-8",
        lambda analysis, _: _BYTE_ORDER_MARK + csv_text(analysis).encode(),
    ),
    "Download JSON": (
        "emotions.json",
        "application/json",
        lambda analysis, model: json_text(analysis, model).encode(),
    ),
    "Download PNG timeline": (
        "timeline.png",
        "image/png",
        lambda analysis, model: timeline_picture(analysis, _TITLE + model),
    ),
}
"""By the text of a button: the file's name, media type, and the function to make it."""


def parcel(kind: str, analysis: Analysis, model: str) -> str:
    """Pack a file as JSON, for the browser to save.

    Args:
        kind: A key of `DOWNLOADS`.
        analysis: What the file holds.
        model: The model's name.

    Returns:
        JSON with `name`, `type` and the `content` in base64.

    Raises:
        KeyError: If `kind` is not in `DOWNLOADS`.
    """
    name, media_type, make = DOWNLOADS[kind]
    return packed(name, media_type, make(analysis, model))


def packed(name: str, media_type: str, content: bytes) -> str:
    """Pack a file's content as `parcel` does."""
    return json.dumps({"name": name, "type": media_type, "content": base64.b64encode(content).decode()})
