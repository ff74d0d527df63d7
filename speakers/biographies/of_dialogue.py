"""Write a biography of each speaker of a dialogue from the whole dialogue.

After Xue et al. 2024 (BiosERC), section 3.1.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...dialogue.names import is_crowd
from ...dialogue.turns import turn_speaker
from ...prompted.configuration import PromptSettings
from ...prompted.prompts import MATERIAL, PromptBuilder
from ..store.queries import Biography, Utterance, View
from .annotator import Annotation, Annotator, Chat
from .written import whole_sentences

_ROLE = f"You describe people from what they said. {MATERIAL}"
_TASK = (
    "In two or three sentences, describe the character of {name} in this conversation: "
    "temperament, mood, way of speaking. Do not quote the lines."
)
_UNLIMITED = 1 << 30  # tokens: the annotator's context is the limit


class DialogueBiographer:
    """Writes a biography for every dialogue and speaker.

    It sees later turns: prompts that hold it are not causal.

    Args:
        settings: Settings of the prompts, of which `biography_budget` and `anonymous` are
            used.
        annotator: The model that writes.
        names: Known persons, in order of their numbers.
        utterances: A corpus, for calls by speaker and view.
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
        self._builder = PromptBuilder(annotator.tokenizer, (), settings, _UNLIMITED, names)
        dialogues: dict[str, list[Utterance]] = {}
        for utterance in utterances:
            dialogues.setdefault(utterance.dialogue_id, []).append(utterance)
        self._dialogues = {dialogue[0].position: dialogue for dialogue in dialogues.values()}

    def __call__(self, speaker: str, view: View) -> Biography:
        """Return a speaker's biography in the dialogue that begins where the view ends.

        Its text is empty if there is no such dialogue or speaker.
        """
        dialogue = self._dialogues.get(-1 if view.before is None else view.before, [])
        own = next((utterance for utterance in dialogue if utterance.speaker == speaker), None)
        annotation = Annotation("", "biography", self.annotator.name, "")
        if own is not None:
            turns = [{"speaker": utterance.name, "text": utterance.text} for utterance in dialogue]
            annotation = self.of_dialogue(turns, own.name, [utterance.key for utterance in dialogue])
        return Biography(
            speaker=speaker,
            kind=self.kind,
            model=annotation.model,
            prompt_digest=annotation.digest,
            view=view,
            anonymous=self.settings.anonymous,
            text=annotation.text,
            utterances=annotation.sources,
        )

    def of_dialogue(
        self, turns: Sequence[Mapping[str, Any]], speaker: str, keys: Sequence[str] = ()
    ) -> Annotation:
        """Return the biography of a speaker of these turns.

        It is empty for a crowd, and if the answer is of no use: see `flaw_of`.
        The oldest turns are left out if the annotator's context is too short.

        Args:
            turns: The dialogue.
            speaker: The name of one of its speakers.
            keys: Keys of the turns, for the annotation's `sources`.
        """
        if is_crowd(speaker):
            return Annotation("", "biography", self.annotator.name, "", tuple(keys))
        scene = self._builder.scene(turns, 0, len(turns))
        name = scene.name(next(i for i, turn in enumerate(turns) if turn_speaker(turn, i) == speaker))
        begin, budget = 0, self.settings.biography_budget
        chat = _question(name, scene.history())
        while begin < len(turns) - 1 and not self.annotator.writer.fits(chat, budget):
            begin = (begin + len(turns)) // 2
            chat = _question(name, scene.history(begin))
        annotation = self.annotator("biography", chat, budget, keys[begin:])
        if self.annotator.flaw(annotation):
            return annotation.with_text("")
        return annotation.with_text(whole_sentences(scene.hide(annotation.text)))


def _question(name: str, history: str) -> Chat:
    return [
        {"role": "system", "content": _ROLE},
        {"role": "user", "content": f"{history}\n{_TASK.format(name=name)}"},
        {"role": "assistant", "content": f"{name} is"},
    ]
