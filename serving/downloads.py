"""What a person takes home: all turns as CSV and JSON, the timeline as PNG. No file is written on the server."""

import base64
import json
from typing import Any

from ..files.spreadsheet_cells import Cell, csv_of
from .analysis import Analysis
from .timeline import timeline_picture


def csv_text(analysis: Analysis) -> str:
    """One row a turn: where it stands, what was said, the label and a probability for each emotion."""
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


def links(analysis: Analysis, model: str) -> str:
    """The three files as links that hold them."""
    files = (
        ("emotions.csv", "text/csv;charset=utf-8", b"\xef\xbb\xbf" + csv_text(analysis).encode(), "CSV"),
        ("emotions.json", "application/json", json_text(analysis, model).encode(), "JSON"),
        (
            "timeline.png",
            "image/png",
            timeline_picture(analysis, f"Emotions by turn, predicted by {model}"),
            "PNG timeline",
        ),
    )
    anchors = " ".join(
        f'<a class="emo-file" download="{name}" href="data:{kind};base64,{base64.b64encode(content).decode()}">{title}</a>'
        for name, kind, content, title in files
    )
    return f'<nav class="emo-files" aria-label="Download"><span>Download</span> {anchors}</nav>'
