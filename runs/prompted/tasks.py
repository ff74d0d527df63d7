"""What the systems of the field learn beside the emotion, and InstructERC's two tasks:
who said this, what will be felt next (Lei et al. 2023, section 3.3)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...dialogue.turns import turn_speaker
from ...errors import EmoNetError
from ...prompted.prompts import MATERIAL, PromptBuilder
from .characteristics import check_kinds

SPEAKERS = "speakers"
_SPEAKER_ROLE = f"You are an expert in the emotions of conversations. {MATERIAL} Answer with one name alone."


@dataclass(frozen=True)
class TaskSettings:
    """What is learnt before and beside the emotions. Nothing of it is needed when the
    model is used.

    Args:
        first_stage: What the model learns to write first: `speakers`, or characteristics
            (`oReact`, several with commas) that the annotator wrote of training turns;
            empty for nothing.
        first_stage_epochs / first_stage_batch_size: Of that stage.
        annotator: The instruct model that writes characteristics.
        impact_weight: Weight α of the emotion-impact task in the loss; 0 for none.
        embedder: The sentence encoder by which demonstrations are found.
        demonstrations_share_label: Training turns are shown turns of their own emotion
            alone.
    """

    first_stage: str = ""
    first_stage_epochs: float = 1
    first_stage_batch_size: int = 8
    annotator: str = "smollm2"
    impact_weight: float = 0.0
    embedder: str = "minilm"
    demonstrations_share_label: bool = False

    def __post_init__(self) -> None:
        if self.first_stage != SPEAKERS:
            check_kinds(self.characteristics)
        if self.impact_weight < 0 or self.first_stage_epochs < 0 or self.first_stage_batch_size < 1:
            raise EmoNetError(
                "impact_weight and first_stage_epochs must be 0 and more, first_stage_batch_size 1 and more."
            )

    @classmethod
    def taken_from(cls, training: dict[str, Any]) -> "TaskSettings":
        """The settings among `training`, which are taken out of it."""
        return cls(**{name: training.pop(name) for name in cls.__dataclass_fields__ if name in training})

    @property
    def characteristics(self) -> list[str]:
        """The kinds that stage 1 learns."""
        return (
            []
            if self.first_stage in ("", SPEAKERS)
            else [kind.strip() for kind in self.first_stage.split(",")]
        )


def speaker_examples(builder: PromptBuilder, dialogues: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Speaker identification: an utterance alone, and which of its dialogue's speakers
    said it.

    The names stand in alphabetical order, so that their place tells nothing. A dialogue
    of one speaker teaches nothing here.

    Args:
        dialogues: Training dialogues (rows of the `dialogues` view).

    Returns:
        Prompt and answer for every turn.
    """
    examples = []
    for row in dialogues:
        turns = row["turns"]
        scene = builder.scene(turns, 0, len(turns))
        names = sorted({scene.name(place) for place in range(len(turns))})
        if len(names) < 2:
            continue
        for place in range(len(turns)):
            question = f"Who says <{scene.text(place)}>? Select the speaker from <{', '.join(names)}>."
            examples.append((builder.framed(_SPEAKER_ROLE, question), scene.name(place)))
    return examples


def impact_text(builder: PromptBuilder, turns: Sequence[Mapping[str, Any]], place: int, window: int) -> str:
    """Emotion impact: what the speaker of the turn at `place` will feel, from what was
    said before it.

    Neither the turn's text nor anything later is in it. Its answer is the turn's label,
    scored like the main task's.
    """
    # The speaker's name is all that is taken from the turn itself.
    past = [*turns[:place], {"speaker": turn_speaker(turns[place], place), "text": ""}]
    scene = builder.scene(past, place - window, place + 1)
    name = scene.name(place)
    question = f"The next to speak is <{name}>. From what was said so far, select what {name} will feel from <{builder.label_list}>."
    return builder.framed(builder.instruction, f"{scene.history(end=place)}\n{question}")


def impact_prompt(builder: PromptBuilder, turns: Sequence[Mapping[str, Any]], place: int) -> list[int]:
    """Its tokens; where they are over the longest prompt, the oldest turns go."""
    window = min(builder.settings.window, place)
    while True:
        ids = builder.tokenize(impact_text(builder, turns, place, window))
        if len(ids) <= builder.max_tokens or not window:
            return ids
        window //= 2
