"""PromptedEmoNetConfig: the backbone, what a prompt holds, and the labels."""

from dataclasses import asdict, dataclass
from typing import Any

from ..configuration_emonet import CheckpointConfig, at_least, check_fields, is_decoder_type, strict_config
from ..errors import EmoNetError

EXTRACTIVE = "extractive"


@dataclass(frozen=True)
class PromptSettings:
    """What a prompt holds; the comment above each field says what it is.

    Raises:
        EmoNetError: for a value that a field can't hold or an impossible combination.
    """

    # How many earlier turns of the dialogue stand in front of the turn.
    window: int = at_least(0, 12)
    # How many later turns stand behind it; more than 0 is not causal.
    future_window: int = at_least(0, 0)
    # How many of the speaker's latest turns are shown with their emotions (K); 0 for
    # none.
    trajectory: int = at_least(0, 0)
    # Whether the speaker's biography stands in it, where there is one.
    biography: bool = False
    # What writes it: `extractive` (no model), or an instruct model (`smollm2`, a Hub id
    # or a folder).
    biography_writer: str = EXTRACTIVE
    # Most words (extractive) or tokens of a biography.
    biography_budget: int = at_least(0, 80)
    # It is written by that model from the whole dialogue, later turns included: not
    # causal.
    biography_of_dialogue: bool = False
    # Persons are numbers in place of names, in all that a prompt holds.
    anonymous: bool = False
    # The question tells the labels once more (InstructERC).
    label_statement: bool = False
    # How many labelled training turns like this one stand behind the question.
    demonstrations: int = at_least(0, 0)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.biography_of_dialogue and (not self.biography or self.biography_writer == EXTRACTIVE):
            raise EmoNetError(
                "biography_of_dialogue needs biography=True and a biography_writer that is a model."
            )

    @property
    def causal(self) -> bool:
        """Whether a turn's prompt holds nothing that depends on later turns."""
        return self.future_window == 0 and not self.biography_of_dialogue


@strict_config
class PromptedEmoNetConfig(CheckpointConfig):
    """Configuration of [`PromptedEmoNet`], whose `text_config` is that of a causal
    language model.

    Raises:
        EmoNetError: for settings of prompts that do not exist, or a backbone that is an
            encoder.
    """

    model_type = "emonet_prompted"
    default_backbone = "llama"

    # Fields of [`PromptSettings`].
    prompts: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        self.prompts = asdict(prompt_settings(self.prompts or {}))
        super().__post_init__(**kwargs)

    def validate_backbone(self) -> None:
        """Prompts are read by decoders."""
        if not is_decoder_type(self.text_config.model_type):
            raise EmoNetError(
                f"A prompt needs a causal language model; {self.text_config.model_type!r} is an encoder."
            )

    @property
    def prompt_settings(self) -> PromptSettings:
        return prompt_settings(self.prompts or {})

    @property
    def causal(self) -> bool:
        """Whether a turn sees itself and earlier turns only."""
        return self.prompt_settings.causal

    @property
    def speaker_memory(self) -> str:
        """`corpus` where what a speaker said in earlier dialogues is read, as a
        trajectory; else `none`.
        """
        return "corpus" if self.prompt_settings.trajectory else "none"

    @property
    def memory_window(self) -> int:
        """How many of a speaker's latest turns are read."""
        return self.prompt_settings.trajectory


def prompt_settings(fields: dict[str, Any]) -> PromptSettings:
    """The settings of these fields; EmoNetError for one that does not exist."""
    if unknown := sorted(set(fields) - set(PromptSettings.__dataclass_fields__)):
        known = ", ".join(PromptSettings.__dataclass_fields__)
        raise EmoNetError(f"A prompt has no setting {unknown[0]!r}; the settings are {known}.")
    return PromptSettings(**fields)
