"""Configure a prompted model: its backbone, its labels and what a prompt holds."""

from dataclasses import asdict, dataclass
from typing import Any

from ..configuration_emonet import CheckpointConfig, at_least, check_fields, is_decoder_type, strict_config
from ..errors import EmoNetError

EXTRACTIVE = "extractive"
LATEST_TEMPLATE = 2


@dataclass(frozen=True)
class PromptSettings:
    """What a prompt holds.

    Args:
        window: Number of earlier turns of the dialogue. With template 2 a history begins
            where that of the turn before does, until it holds twice as many.
        future_window: Number of later turns; more than 0 is not causal.
        trajectory: Number (K) of the speaker's latest turns that are given with their
            emotions; 0 for none.
        biography: Include the speaker's biography, if there is one.
        biography_writer: Writer of biographies: `extractive` (no model), or an instruct
            model (`smollm2`, a Hub id or a folder).
        biography_budget: Maximum length of a biography in words (`extractive`) or tokens.
        biography_of_dialogue: The model writes biographies from the whole dialogue, later
            turns included: not causal.
        anonymous: Replace names by numbers in the whole prompt.
        label_statement: Repeat the labels in the question (InstructERC).
        demonstrations: Number of similar labelled training turns after the question.
        template: How prompts are written: see `prompts.py`. With template 2, the turns of
            a dialogue share more, which makes it several times cheaper. Checkpoints
            without this setting have 1.

    Raises:
        EmoNetError: If a value is out of range, or a combination is impossible.
    """

    window: int = at_least(0, 12)
    future_window: int = at_least(0, 0)
    trajectory: int = at_least(0, 0)
    biography: bool = False
    biography_writer: str = EXTRACTIVE
    biography_budget: int = at_least(0, 80)
    biography_of_dialogue: bool = False
    anonymous: bool = False
    label_statement: bool = False
    demonstrations: int = at_least(0, 0)
    template: int = at_least(1, 1)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.template > LATEST_TEMPLATE:
            raise EmoNetError(
                f"template={self.template}: the templates known here are 1 to {LATEST_TEMPLATE}. "
                "Update emonet."
            )
        if self.biography_of_dialogue and (not self.biography or self.biography_writer == EXTRACTIVE):
            raise EmoNetError(
                "biography_of_dialogue needs biography=True and a biography_writer that is a model."
            )

    @property
    def most_earlier_turns(self) -> int:
        """The most earlier turns that a prompt holds."""
        return self.window if self.template == 1 else max(0, 2 * self.window - 1)

    @property
    def causal(self) -> bool:
        """Whether a turn's prompt is independent of later turns."""
        return self.future_window == 0 and not self.biography_of_dialogue


@strict_config
class PromptedEmoNetConfig(CheckpointConfig):  # type: ignore[no-untyped-call]  # transformers
    """Configuration of [`PromptedEmoNet`].

    Its `text_config` is that of a causal language model.

    Args:
        prompts: Fields of [`PromptSettings`].

    Raises:
        EmoNetError: For unknown prompt settings, or a backbone that is an encoder.
    """

    model_type = "emonet_prompted"
    default_backbone = "llama"

    prompts: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        self.prompts = asdict(prompt_settings(self.prompts or {}))
        super().__post_init__(**kwargs)

    def validate_backbone(self) -> None:
        """Refuse an encoder."""
        if not is_decoder_type(self.text_config.model_type):
            raise EmoNetError(
                f"A prompt needs a causal language model; {self.text_config.model_type!r} is an encoder."
            )

    @property
    def prompt_settings(self) -> PromptSettings:
        """What a prompt holds."""
        return prompt_settings(self.prompts or {})

    @property
    def causal(self) -> bool:
        """Whether a turn sees itself and earlier turns only."""
        return self.prompt_settings.causal

    @property
    def speaker_memory(self) -> str:
        """`corpus` if earlier dialogues are read, as a trajectory; else `none`."""
        return "corpus" if self.prompt_settings.trajectory else "none"

    @property
    def memory_window(self) -> int:
        """How many of a speaker's latest turns are read."""
        return self.prompt_settings.trajectory


def prompt_settings(fields: dict[str, Any]) -> PromptSettings:
    """Build the settings; raise EmoNetError for an unknown field."""
    if unknown := sorted(set(fields) - set(PromptSettings.__dataclass_fields__)):
        known = ", ".join(PromptSettings.__dataclass_fields__)
        raise EmoNetError(f"A prompt has no setting {unknown[0]!r}; the settings are {known}.")
    return PromptSettings(**fields)
