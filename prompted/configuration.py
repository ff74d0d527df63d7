"""PromptedEmoNetConfig: the backbone, what a prompt holds, and the labels."""

from dataclasses import asdict, dataclass
from typing import Any

from ..configuration_emonet import CheckpointConfig, backbone_config, is_decoder_type
from ..errors import EmoNetError
from ..version import PACKAGE_VERSION

EXTRACTIVE = "extractive"


@dataclass(frozen=True)
class PromptSettings:
    """What a prompt holds.

    Args:
        window: How many earlier turns of the dialogue stand in front of the turn.
        future_window: How many later turns stand behind it; more than 0 is not causal.
        trajectory: How many of the speaker's latest turns are shown with their emotions (K); 0 for none.
        biography: Whether the speaker's biography stands in it, where there is one.
        biography_writer: What writes it: `extractive` (no model), or an instruct model (`smollm2`, a Hub id or a folder).
        biography_budget: Most words (extractive) or tokens of a biography.
        biography_of_dialogue: It is written by that model from the whole dialogue, later turns included: not causal.
        anonymous: Persons are numbers in place of names, in all that a prompt holds.
        label_statement: The question tells the labels once more (InstructERC).
        demonstrations: How many labelled training turns like this one stand behind the question.
    """

    window: int = 12
    future_window: int = 0
    trajectory: int = 0
    biography: bool = False
    biography_writer: str = EXTRACTIVE
    biography_budget: int = 80
    biography_of_dialogue: bool = False
    anonymous: bool = False
    label_statement: bool = False
    demonstrations: int = 0

    def __post_init__(self) -> None:
        if min(value for value in asdict(self).values() if not isinstance(value, str)) < 0:
            raise EmoNetError(
                "window, future_window, trajectory, biography_budget and demonstrations of a prompt must be 0 and more."
            )
        if self.biography_of_dialogue and (not self.biography or self.biography_writer == EXTRACTIVE):
            raise EmoNetError(
                "biography_of_dialogue needs biography=True and a biography_writer that is a model."
            )

    @property
    def causal(self) -> bool:
        """Whether a turn's prompt holds nothing that depends on later turns."""
        return self.future_window == 0 and not self.biography_of_dialogue


class PromptedEmoNetConfig(CheckpointConfig):
    """Configuration of [`PromptedEmoNet`].

    Args:
        text_config: The causal language model's own configuration; a dict needs `model_type`.
        backbone: Its public name (Hub id, `smollm2` or a folder's name), for cards and adapters.
        prompts: Fields of [`PromptSettings`].
        class_weights / calibration_temperature / dataset_version: As in `EmoNetConfig`.

    Raises:
        ValueError: for settings of prompts that do not exist.
    """

    model_type = "emonet_prompted"

    def __init__(
        self,
        text_config: Any = None,
        backbone: str | None = None,
        prompts: dict[str, Any] | None = None,
        class_weights: list[float] | None = None,
        calibration_temperature: float = 1.0,
        dataset_version: str | None = None,
        emonet_version: str = PACKAGE_VERSION,
        **kwargs: Any,
    ):
        self.text_config = backbone_config(text_config, "llama")
        if not is_decoder_type(self.text_config.model_type):
            raise EmoNetError(
                f"A prompt needs a causal language model; {self.text_config.model_type!r} is an encoder."
            )
        self.backbone = backbone
        self.prompts = asdict(prompt_settings(prompts or {}))
        self.class_weights = list(class_weights) if class_weights is not None else None
        self.calibration_temperature = calibration_temperature
        self.dataset_version = dataset_version
        self.emonet_version = emonet_version
        super().__init__(**kwargs)

    @property
    def prompt_settings(self) -> PromptSettings:
        return prompt_settings(self.prompts)

    @property
    def causal(self) -> bool:
        """Whether a turn sees itself and earlier turns only."""
        return self.prompt_settings.causal

    @property
    def speaker_memory(self) -> str:
        """`corpus` where what a speaker said in earlier dialogues is read, as a trajectory; else `none`."""
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


PromptedEmoNetConfig.register_for_auto_class()
