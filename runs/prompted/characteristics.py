"""Characteristics of speakers and listeners, for the first stage.

As in Fu et al. 2024 (CKERC, arXiv 2403.07260 v1) and 2025 (LaERC-S, COLING; v2 of the
same paper), an instruct model states the common sense behind an utterance in at most ten
words, and the model in training learns to write the same. The kinds are those of ATOMIC
(Sap et al. 2019): x is the speaker, o are the others.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from ...errors import EmoNetError
from ...prompted.prompts import MATERIAL, PromptBuilder
from ...speakers.biographies.annotator import Annotation, Annotator, Chat
from .batches import AnswerExample

INSTRUCTION = f"You are an expert with good common sense. {MATERIAL} Answer in at most ten words."
MAX_WORDS, MAX_TOKENS = 10, 24
_END = re.compile(r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)[.!?](?=\s|$)")


@dataclass(frozen=True)
class Characteristic:
    """A question about a turn, and the beginning of its answer.

    Without the beginning, a small model continues the dialogue instead.
    """

    question: str
    beginning: str


CHARACTERISTICS = {
    "xIntent": Characteristic("What does {name} intend by saying {text}?", "{name} wants to"),
    "xNeed": Characteristic("What did {name} need before saying {text}?", "{name} needed to"),
    "xWant": Characteristic("What does {name} want after saying {text}?", "Next, {name} wants to"),
    "xEffect": Characteristic("What happens to {name} after saying {text}?", "{name} will"),
    "xReact": Characteristic("How does {name} react to having said {text}?", "{name} is"),
    "xAttr": Characteristic("What is {name} like, who says {text}?", "{name} is a"),
    "oReact": Characteristic("How do those who listen react when {name} says {text}?", "The listeners are"),
    "oWant": Characteristic(
        "What do those who listen want after {name} says {text}?", "The listeners want to"
    ),
    "oEffect": Characteristic(
        "What happens to those who listen after {name} says {text}?", "The listeners will"
    ),
}


def check_kinds(kinds: Iterable[str]) -> None:
    """Raise an EmoNetError for an unknown kind."""
    for kind in kinds:
        if kind not in CHARACTERISTICS:
            raise EmoNetError(f"Characteristic {kind!r} is not one of {', '.join(CHARACTERISTICS)}.")


class CharacteristicWriter:
    """Write characteristics of training turns from the turn and earlier ones, no labels.

    Args:
        annotator: Writes the characteristics and caches them.
        builder: Builds the prompts of the model in training; its window sets the number
            of earlier turns.
        kinds: Names in `CHARACTERISTICS`.
    """

    def __init__(self, annotator: Annotator, builder: PromptBuilder, kinds: Sequence[str]):
        check_kinds(kinds)
        self.annotator, self.builder, self.kinds = annotator, builder, tuple(kinds)
        self._annotator_builder = builder.for_tokenizer(annotator.tokenizer)

    def annotate(self, row: Mapping[str, Any], index: int, kind: str) -> Annotation:
        """Write a characteristic of turn `index` in a row of the `dialogues` view."""
        window = min(self.builder.settings.window, index)
        chat, beginning = self._chat(row, index, kind, window)
        while window and not self.annotator.writer.fits(chat, MAX_TOKENS):
            window = window // 2
            chat, beginning = self._chat(row, index, kind, window)
        first = index - window
        sources = [f"{row['dialogue_id']}#{turn}" for turn in range(first, index + 1)]
        written = self.annotator(kind, chat, MAX_TOKENS, sources)
        return written.with_text(shortened(written.text, beginning))

    def _chat(self, row: Mapping[str, Any], index: int, kind: str, window: int) -> tuple[Chat, str]:
        """The chat for the annotator, and the beginning of its answer."""
        question, beginning = question_and_beginning(
            self._annotator_builder, row["turns"], index, kind, window
        )
        chat = [
            {"role": "system", "content": INSTRUCTION},
            {"role": "user", "content": question},
            {"role": "assistant", "content": beginning},
        ]
        return chat, beginning

    def examples(self, dialogues: Iterable[Mapping[str, Any]], progress: bool = False) -> list[AnswerExample]:
        """Examples of the first stage, for every training turn and kind.

        Answers of no use (see `flaw_of`) are left out.
        """
        turns = [
            (dialogue, row, index)
            for dialogue, row in enumerate(dialogues)
            for index in range(len(row["turns"]))
        ]
        examples = []
        for dialogue, row, index in tqdm(turns, disable=not progress, desc="characteristics"):
            for kind in self.kinds:
                question, _ = question_and_beginning(self.builder, row["turns"], index, kind)
                prompt = self.builder.framed(INSTRUCTION, question)
                annotation = self.annotate(row, index, kind)
                if not self.annotator.flaw(annotation):
                    examples.append(AnswerExample(prompt, annotation.text, dialogue))
        return examples


def question_and_beginning(
    builder: PromptBuilder,
    turns: Sequence[Mapping[str, Any]],
    index: int,
    kind: str,
    window: int | None = None,
) -> tuple[str, str]:
    """The question about a turn after its history, and the beginning of the answer.

    Args:
        window: Number of earlier turns, by default as many as prompts hold.
    """
    window = builder.earlier_turns(index) if window is None else window
    scene = builder.scene(turns, index - window, index + 1)
    words = {"name": scene.name(index), "text": scene.text(index)}
    characteristic = CHARACTERISTICS[kind]
    question = f"{scene.history()}\n{characteristic.question.format(**words)}"
    return question, characteristic.beginning.format(**words)


def shortened(text: str, beginning: str) -> str:
    """The first sentence, with at most ten words after its beginning."""
    answer = text[len(beginning) :]
    end = _END.search(answer)
    words = (answer[: end.start()] if end else answer).split()
    return " ".join([beginning, *words[:MAX_WORDS]]).rstrip(",;:") + "."
