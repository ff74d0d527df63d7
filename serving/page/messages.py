"""Word the page's messages: progress, notes and alerts as HTML, and counts."""

from html import escape
from typing import Any

from ...dialogue.reading import UNKNOWN, Reading
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
    """Count the turns and speakers of a chat."""
    turns, speakers = len(analysis.turns), len(analysis.speakers())
    return f"{turns} turn{'s' * (turns > 1)}, {speakers} speaker{'s' * (speakers > 1)}."


def reading_note(reading: Reading) -> str:
    """Say what a script was read as, who speaks, and what was left out."""
    unnamed = reading.speakers[UNKNOWN]
    hint = f" Turns under {UNKNOWN} don't say who speaks: {unnamed}." if unnamed else ""
    return note(f"Read as {reading.summary()}.{hint}")
