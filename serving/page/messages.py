"""Word the page's messages: progress, notes and alerts as HTML, and counts."""

from html import escape
from typing import Any

from ...dialogue.subtitles import UNKNOWN
from .analysis import Analysis
from .job import Job

RESULTS_GONE = "These results are not there any more; name the emotions again."


def progress(job: Job[Any], action: str) -> str:
    """Return how far a job is; `action` names what it does with turns."""
    what, done, whole = job.progress
    actions = {
        "preparing": "Preparing",
        "memory": "Reading what the speakers said before",
        "turns": action,
    }
    return (
        f'<div class="emo-status" role="status"><label>{actions[what]}: {done} of {whole} '
        f'<progress max="{whole}" value="{done}"></progress></label></div>'
    )


def note(text: str) -> str:
    """Return a message that all went well."""
    return f'<div class="emo-status" role="status">{escape(text)}</div>'


def alert(text: str) -> str:
    """Return the reason why something failed."""
    return f'<div class="emo-status emo-alert" role="alert"><b>That did not work.</b> {escape(text)}</div>'


def counts(analysis: Analysis) -> str:
    """Count turns, speakers and dialogues, and turns without a speaker."""
    turns, speakers, dialogues = len(analysis.turns), len(analysis.speakers()), len(analysis.dialogues)
    parts = [f"{turns} turn{'s' if turns > 1 else ''}", f"{speakers} speaker{'s' if speakers > 1 else ''}"]
    if dialogues > 1:
        parts.append(f"{dialogues} dialogues")
    unnamed = sum(turn["speaker"] == UNKNOWN for turn in analysis.turns)
    hint = f" {unnamed} of them don't say who speaks: they stand under {UNKNOWN}." if unnamed else ""
    return ", ".join(parts) + "." + hint
