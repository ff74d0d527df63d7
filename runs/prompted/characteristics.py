"""Characteristics of speakers and listeners that a language model writes of training
turns: what stage 1 learns to tell.

After Fu et al. 2024 (CKERC, arXiv 2403.07260 v1) and 2025 (LaERC-S, COLING; v2 of the
same): an instruct model is asked for the common sense behind an utterance, in ten words
at most; the model to be trained learns to write the same. The kinds are those of ATOMIC
(Sap et al. 2019): x is who speaks, o are the others.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from ...errors import EmoNetError
from ...prompted.prompts import MATERIAL, PromptBuilder
from ...speakers.biographies.annotator import Annotation, Annotator, Chat

INSTRUCTION = f"You are an expert with good common sense. {MATERIAL} Answer in at most ten words."
MOST_WORDS, MOST_TOKENS = 10, 24
_END = re.compile(r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)[.!?](?=\s|$)")


@dataclass(frozen=True)
class Characteristic:
    """What is asked of a turn, and how the answer begins: a small model otherwise goes on
    with the lines.
    """

    question: str
    beginning: str


CHARACTERISTICS = {
    "xIntent": Characteristic("What does {name} intend by saying {said}?", "{name} wants to"),
    "xNeed": Characteristic("What did {name} need before saying {said}?", "{name} needed to"),
    "xWant": Characteristic("What does {name} want after saying {said}?", "Next, {name} wants to"),
    "xEffect": Characteristic("What happens to {name} after saying {said}?", "{name} will"),
    "xReact": Characteristic("How does {name} react to having said {said}?", "{name} is"),
    "xAttr": Characteristic("What is {name} like, who says {said}?", "{name} is a"),
    "oReact": Characteristic("How do those who listen react when {name} says {said}?", "The listeners are"),
    "oWant": Characteristic(
        "What do those who listen want after {name} says {said}?", "The listeners want to"
    ),
    "oEffect": Characteristic(
        "What happens to those who listen after {name} says {said}?", "The listeners will"
    ),
}


def check_kinds(kinds: Iterable[str]) -> None:
    """Refuse a kind that does not exist."""
    for kind in kinds:
        if kind not in CHARACTERISTICS:
            raise EmoNetError(f"Characteristic {kind!r} is not one of {', '.join(CHARACTERISTICS)}.")


class CharacteristicWriter:
    """Writes the characteristics of training turns, each from its turn and those before
    it, with no label among them.

    Args:
        annotator: Writes and keeps them. builder: Of the prompts of the model that is to
            learn them; its window says how many earlier turns are shown. kinds: Names in
            `CHARACTERISTICS`.
    """

    def __init__(self, annotator: Annotator, builder: PromptBuilder, kinds: Sequence[str]):
        check_kinds(kinds)
        self.annotator, self.builder, self.kinds = annotator, builder, tuple(kinds)
        self._shown_to_annotator = builder.for_tokenizer(annotator.tokenizer)

    def annotate(self, row: Mapping[str, Any], place: int, kind: str) -> Annotation:
        """What the annotator says of the turn at `place` of a dialogue (a row of the
        `dialogues` view).
        """
        window = min(self.builder.settings.window, place)
        chat, beginning = self._chat(row, place, kind, window)
        while window and not self.annotator.writer.fits(chat, MOST_TOKENS):
            window = window // 2
            chat, beginning = self._chat(row, place, kind, window)
        first = place - window
        sources = [f"{row['dialogue_id']}#{number}" for number in range(first, place + 1)]
        written = self.annotator(kind, chat, MOST_TOKENS, sources)
        return written.with_text(short(written.text, beginning))

    def _chat(self, row: Mapping[str, Any], place: int, kind: str, window: int) -> tuple[Chat, str]:
        """What the annotator is asked, and how its answer begins."""
        question, beginning = asked(self._shown_to_annotator, row["turns"], place, kind, window)
        chat = [
            {"role": "system", "content": INSTRUCTION},
            {"role": "user", "content": question},
            {"role": "assistant", "content": beginning},
        ]
        return chat, beginning

    def examples(
        self, dialogues: Iterable[Mapping[str, Any]], progress: bool = False
    ) -> list[tuple[str, str]]:
        """Prompt and answer of stage 1, for every training turn and kind."""
        turns = [(row, place) for row in dialogues for place in range(len(row["turns"]))]
        examples = []
        for row, place in tqdm(turns, disable=not progress, desc="characteristics"):
            for kind in self.kinds:
                question, _ = asked(self.builder, row["turns"], place, kind)
                examples.append(
                    (self.builder.framed(INSTRUCTION, question), self.annotate(row, place, kind).text)
                )
        return examples


def asked(
    builder: PromptBuilder,
    turns: Sequence[Mapping[str, Any]],
    place: int,
    kind: str,
    window: int | None = None,
) -> tuple[str, str]:
    """The question for a turn behind its past (`window` turns of it, or as many as
    prompts hold), and how the answer begins.
    """
    scene = builder.scene(turns, place - (builder.settings.window if window is None else window), place + 1)
    words = {"name": scene.name(place), "said": scene.text(place)}
    characteristic = CHARACTERISTICS[kind]
    return f"{scene.history()}\n{characteristic.question.format(**words)}", characteristic.beginning.format(
        **words
    )


def short(text: str, beginning: str) -> str:
    """The first sentence, of ten words at most behind its beginning."""
    said = text[len(beginning) :]
    end = _END.search(said)
    words = (said[: end.start()] if end else said).split()
    return " ".join([beginning, *words[:MOST_WORDS]]).rstrip(",;:") + "."
