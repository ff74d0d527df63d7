"""Show each speaker as a card: identity, emotions, and what the model remembers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ...dialogue.names import SpeakerKinds, clean_name
from ...inference.predict import TurnProcessor
from ...prompted.processing import PromptedProcessor
from .analysis import Analysis, identity_of
from .turn_list import bars, chip

MAX_CARDS = 50
_NO_MEMORY = (
    "This model keeps no memory of speakers: what a person said earlier counts only as part of the dialogue."
)
_SCOPES = {
    "none": _NO_MEMORY,
    "dialogue": "The memory holds what a person said earlier in the same dialogue, as text and nothing else.",
    "corpus": (
        "The memory holds what a person said earlier, in earlier dialogues too, as text and nothing else."
    ),
}
_PROMPTED_SCOPES = {
    "none": _NO_MEMORY,
    "corpus": (
        "The memory holds what a person said last, in earlier dialogues too, and which emotion the model "
        "named."
    ),
}


def profiles(analysis: Analysis, processor: TurnProcessor) -> str:
    """Return a card for each of the `MAX_CARDS` speakers with the most turns.

    The cards are in order of appearance, and show the memory after the last turn.

    Args:
        analysis: The labelled script.
        processor: An `EmoNetProcessor`, or a `PromptedProcessor`, whose biographies are
            shown too.
    """
    turns_of: dict[str, list[dict[str, Any]]] = {}
    for turn in analysis.turns:
        turns_of.setdefault(turn["speaker"], []).append(turn)
    kept = set(sorted(turns_of, key=lambda name: -len(turns_of[name]))[:MAX_CARDS])
    names, kinds = analysis.names(processor), analysis.kinds(processor)
    cards = "".join(
        _card(name, turns_of[name], analysis, processor, names, kinds) for name in turns_of if name in kept
    )
    scopes = _PROMPTED_SCOPES if isinstance(processor, PromptedProcessor) else _SCOPES
    note = scopes[processor.config.speaker_memory]
    if len(kept) < len(turns_of):
        note += f" Shown are the {len(kept)} speakers with the most turns, of {len(turns_of)}."
    return f'<p class="emo-note">{note}</p><div class="emo-cards">{cards}</div>'


def _card(
    name: str,
    turns: Sequence[Mapping[str, Any]],
    analysis: Analysis,
    processor: TurnProcessor,
    names: Mapping[str, str],
    kinds: SpeakerKinds,
) -> str:
    looks = analysis.looks
    counts = Counter(turn["label"] for turn in turns)
    shares = {label: count / len(turns) for label, count in counts.most_common()}
    most_frequent = next(iter(shares))
    return (
        f'<section class="emo-card" aria-label="{escape(name)}"><h3>{escape(name)}</h3>'
        f'<p class="emo-note">{escape(identity_of(name, processor, kinds))}</p>'
        f"<p>{len(turns)} turn{'s' if len(turns) > 1 else ''}, most often "
        f"{chip(most_frequent, looks[most_frequent])}</p>{bars(shares, looks)}"
        f"{_biography(names[name], processor)}{_memory(name, analysis, processor, names, kinds)}</section>"
    )


def _biography(name: str, processor: TurnProcessor) -> str:
    """Show the biography in a prompted model's prompts."""
    if not isinstance(processor, PromptedProcessor) or not processor.config.prompt_settings.biography:
        return ""
    if processor.config.prompt_settings.biography_of_dialogue:
        writer = escape(processor.config.prompt_settings.biography_writer)
        return (
            f'<p class="emo-note">The model is told a biography that {writer} writes from the whole '
            "dialogue.</p>"
        )
    text = escape(processor.biographies.get(clean_name(name), {}).get("text", ""))
    return (
        f"<details><summary>Biography that the model is told</summary><p>{text}</p></details>" if text else ""
    )


def _memory(
    name: str, analysis: Analysis, processor: TurnProcessor, names: Mapping[str, str], kinds: SpeakerKinds
) -> str:
    turns = remembered(name, analysis, processor, names, kinds)
    if not turns:
        return ""
    items = "".join(f"<li>{escape(turn['text']) or '<i>(said nothing)</i>'}</li>" for turn in reversed(turns))
    count = f"last {len(turns)} utterances" if len(turns) > 1 else "one utterance"
    return f"<details><summary>In memory: {count}</summary><ol reversed>{items}</ol></details>"


def remembered(
    name: str,
    analysis: Analysis,
    processor: TurnProcessor,
    names: Mapping[str, str] | None = None,
    kinds: SpeakerKinds | None = None,
) -> Sequence[Mapping[str, Any]]:
    """Return the turns that the model would remember if a speaker went on, oldest first.

    A role is another person in every dialogue, so its memory begins with the last one.

    Args:
        name: The speaker.
        analysis: The labelled script.
        processor: An `EmoNetProcessor` or a `PromptedProcessor`.
        names: Each speaker's name as the model reads it, to save time when many
            speakers are looked up.
        kinds: Which speakers are persons, for the same reason.
    """
    names, scope = names or analysis.names(processor), processor.config.speaker_memory
    if scope == "none":
        return []
    role = (kinds or analysis.kinds(processor)).is_role(names[name])
    recent = analysis.dialogues if scope == "corpus" and not role else analysis.dialogues[-1:]
    own = [turn for _, turns in recent for turn in turns if names[turn["speaker"]] == names[name]]
    return own[-processor.config.memory_window :]
