"""Auxiliary training tasks, and the two of InstructERC.

Speaker identification and emotion impact: Lei et al. 2023, section 3.3.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...dialogue.turns import turn_speaker
from ...errors import EmoNetError
from ...prompted.prompts import MATERIAL, PromptBuilder
from .batches import AnswerExample
from .characteristics import check_kinds

SPEAKERS = "speakers"
_SPEAKER_ROLE = f"You are an expert in the emotions of conversations. {MATERIAL} Answer with one name alone."


@dataclass(frozen=True)
class TaskSettings:
    """Settings of the tasks before and beside the emotions; inference needs none of them.

    Args:
        first_stage: Task of the first stage: `speakers`, or comma-separated
            characteristics (`oReact`) that the annotator writes of training turns; empty
            for no first stage.
        first_stage_epochs: Epochs of the first stage.
        first_stage_batch_size: Batch size of the first stage.
        annotator: Instruct model that writes characteristics.
        impact_weight: Weight α of the emotion-impact task in the loss; 0 for none.
        embedder: Sentence encoder that selects demonstrations.
        demonstrations_share_label: In training, show only demonstrations with the turn's
            own emotion.
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
                "impact_weight and first_stage_epochs must be at least 0, first_stage_batch_size at least 1."
            )

    @classmethod
    def taken_from(cls, training: dict[str, Any]) -> "TaskSettings":
        """Remove the settings of the tasks from `training`, and return them."""
        return cls(**{name: training.pop(name) for name in cls.__dataclass_fields__ if name in training})

    @property
    def characteristics(self) -> list[str]:
        """The kinds of characteristics that the first stage learns."""
        if self.first_stage in ("", SPEAKERS):
            return []
        return [kind.strip() for kind in self.first_stage.split(",")]


def speaker_examples(builder: PromptBuilder, dialogues: Iterable[Mapping[str, Any]]) -> list[AnswerExample]:
    """Speaker identification: ask which speaker of the dialogue said an utterance.

    The names are in alphabetical order, so that their order gives no hint. Dialogues with
    one speaker are skipped.

    Args:
        builder: Builds the prompts.
        dialogues: Training dialogues (rows of the `dialogues` view).

    Returns:
        An example for every turn of the other dialogues.
    """
    examples = []
    for dialogue, row in enumerate(dialogues):
        turns = row["turns"]
        scene = builder.scene(turns, 0, len(turns))
        names = sorted({scene.name(index) for index in range(len(turns))})
        if len(names) < 2:
            continue
        for index in range(len(turns)):
            question = f"Who says <{scene.text(index)}>? Select the speaker from <{', '.join(names)}>."
            prompt = builder.framed(_SPEAKER_ROLE, question)
            examples.append(AnswerExample(prompt, scene.name(index), dialogue))
    return examples


def impact_text(builder: PromptBuilder, turns: Sequence[Mapping[str, Any]], index: int, window: int) -> str:
    """Emotion impact: ask for the emotion of turn `index`, given only earlier turns.

    The answer is the turn's label, scored as in the main task.
    """
    # Only the speaker's name is taken from the turn itself.
    past = [*turns[:index], {"speaker": turn_speaker(turns[index], index), "text": ""}]
    scene = builder.scene(past, index - window, index + 1)
    name = scene.name(index)
    question = (
        f"The next to speak is <{name}>. From what was said so far, "
        f"select what {name} will feel from <{builder.label_list}>."
    )
    return builder.framed(builder.instruction, f"{scene.history(end=index)}\n{question}")


def impact_prompt(builder: PromptBuilder, turns: Sequence[Mapping[str, Any]], index: int) -> list[int]:
    """Tokens of the emotion-impact prompt; drops the oldest turns if it is too long."""
    window = builder.earlier_turns(index)
    while True:
        ids = builder.tokenize(impact_text(builder, turns, index, window))
        if len(ids) <= builder.max_tokens or not window:
            return ids
        window //= 2
