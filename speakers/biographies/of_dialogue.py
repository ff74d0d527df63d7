"""BiosERC's biographies (Xue et al. 2024, section 3.1): of each speaker of a dialogue,
from the whole of that dialogue.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...dialogue.names import is_crowd
from ...dialogue.turns import turn_speaker
from ...prompted.configuration import PromptSettings
from ...prompted.prompts import MATERIAL, PromptBuilder
from ..store.store import Biography, Utterance, View
from .annotator import Annotation, Annotator, Chat
from .written import whole_sentences

_ROLE = f"You describe people from what they said. {MATERIAL}"
_TASK = (
    "In two or three sentences, describe the character of {name} in this conversation: temperament, mood, way of speaking. Do "
    "not quote the lines."
)
_ROOM = 1 << 30  # the annotator's context is the limit, and not that of prompts


class DialogueBiographer:
    """Writes a biography for every dialogue and speaker. It sees later turns: prompts
    that hold it are not causal.

    Args:
        settings: Of the prompts: `biography_budget`, and `anonymous`, in which names are
            numbers here too.
        names: Known persons, in order of their numbers. utterances: A corpus, for calls
            by speaker and view.
    """

    kind = "llm of dialogue"

    def __init__(
        self,
        settings: PromptSettings,
        annotator: Annotator,
        names: Iterable[str] = (),
        utterances: Sequence[Utterance] = (),
    ):
        self.annotator, self.settings = annotator, settings
        self._builder = PromptBuilder(annotator.tokenizer, (), settings, _ROOM, names)
        dialogues: dict[str, list[Utterance]] = {}
        for each in utterances:
            dialogues.setdefault(each.dialogue_id, []).append(each)
        self._dialogues = {said[0].position: said for said in dialogues.values()}

    def __call__(self, speaker: str, view: View) -> Biography:
        """The biography of a speaker in the dialogue that begins where the view ends;
        empty where there is none.
        """
        said = self._dialogues.get(-1 if view.before is None else view.before, [])
        own = next((each for each in said if each.speaker == speaker), None)
        if own is None:
            return Biography(
                speaker, self.kind, self.annotator.name, "", view, self.settings.anonymous, "", ()
            )
        turns = [{"speaker": each.name, "text": each.text} for each in said]
        written = self.of_dialogue(turns, own.name, [each.key for each in said])
        facts = (written.model, written.digest, view, self.settings.anonymous, written.text, written.sources)
        return Biography(speaker, self.kind, *facts)

    def of_dialogue(
        self, turns: Sequence[Mapping[str, Any]], speaker: str, keys: Sequence[str] = ()
    ) -> Annotation:
        """The biography of a speaker of these turns; empty for a crowd. If they are over
        the annotator's context, the oldest go.

        Args:
            keys: Of the turns, for the annotation's `sources`.
        """
        if is_crowd(speaker):
            return Annotation("", "biography", self.annotator.name, "", tuple(keys))
        scene = self._builder.scene(turns, 0, len(turns))
        place = next(place for place, turn in enumerate(turns) if turn_speaker(turn, place) == speaker)
        begin, budget = 0, self.settings.biography_budget
        chat = _asked(scene.name(place), scene.history())
        while begin < len(turns) - 1 and not self.annotator.writer.fits(chat, budget):
            begin = (begin + len(turns)) // 2
            chat = _asked(scene.name(place), scene.history(begin))
        written = self.annotator("biography", chat, budget, keys[begin:])
        return written.with_text(whole_sentences(scene.hide(written.text)))


def _asked(name: str, history: str) -> Chat:
    return [
        {"role": "system", "content": _ROLE},
        {"role": "user", "content": f"{history}\n{_TASK.format(name=name)}"},
        {"role": "assistant", "content": f"{name} is"},
    ]
