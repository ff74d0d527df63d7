"""What a person takes home: all turns as CSV and JSON, the timeline as PNG. Made when
asked for, written nowhere.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from ..files.spreadsheet_cells import Cell, csv_of
from .analysis import Analysis
from .timeline import timeline_picture

_TITLE = "Emotions by turn, predicted by "


def csv_text(analysis: Analysis) -> str:
    """One row a turn: where it stands, what was said, the label and a probability for
    each emotion.
    """
    times = (
        ["start", "end"] if any("start" in turn for _, turns in analysis.dialogues for turn in turns) else []
    )
    rows: list[list[Cell]] = []
    for name, turns in analysis.dialogues:
        for place, turn in enumerate(turns):
            when, scores = (
                [turn.get(field) for field in times],
                [round(turn["scores"][label], 6) for label in analysis.labels],
            )
            rows.append(
                [
                    name,
                    place,
                    *when,
                    turn["speaker"],
                    turn["text"],
                    turn["label"],
                    round(turn["score"], 6),
                    *scores,
                ]
            )
    return csv_of(
        ["dialogue_id", "turn", *times, "speaker", "text", "label", "score", *analysis.labels], rows
    )


def json_text(analysis: Analysis, model: str) -> str:
    """The model's name, the labels, and the dialogues with their turns."""
    dialogues: list[dict[str, Any]] = [
        {"dialogue_id": name, "turns": turns} for name, turns in analysis.dialogues
    ]
    return (
        json.dumps(
            {"model": model, "labels": analysis.labels, "dialogues": dialogues}, ensure_ascii=False, indent=1
        )
        + "\n"
    )


DOWNLOADS: dict[str, tuple[str, str, Callable[[Analysis, str], bytes]]] = {
    "Download CSV": (
        "emotions.csv",
        "text/csv;charset=utf-8",
        lambda seen, _: b"\xef\xbb\xbf" + csv_text(seen).encode(),
    ),
    "Download JSON": (
        "emotions.json",
        "application/json",
        lambda seen, model: json_text(seen, model).encode(),
    ),
    "Download PNG timeline": (
        "timeline.png",
        "image/png",
        lambda seen, model: timeline_picture(seen, _TITLE + model),
    ),
}
"""What can be downloaded, by what its button says: the file's name, its type, and what makes it."""


def parcel(kind: str, analysis: Analysis, model: str) -> str:
    """A file as JSON that holds it: `name`, `type` and its `content` in base64, for the
    browser to save.

    Raises:
        KeyError: for a kind that is none of `DOWNLOADS`.
    """
    name, media_type, make = DOWNLOADS[kind]
    content = base64.b64encode(make(analysis, model)).decode()
    return json.dumps({"name": name, "type": media_type, "content": content})
