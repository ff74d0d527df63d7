"""What a training run or an evaluation is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..training.arguments import EmoNetTrainingArguments


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options of [`train_run`].

    Args:
        dataset: Name of a corpus, or a file or folder.
        output_dir: The run folder.
        data_dir: Folder with the corpus's files.
        preset: Name of a packed or a prompted preset; empty for a prompted model made
            without one.
        backbone: Hub id, folder, or name of an embedded backbone.
        seed: Of every random number.
        config_overrides: `EmoNetConfig` fields, or `PromptSettings` fields of a prompted
            preset.
        training_overrides: `EmoNetTrainingArguments` fields; of a prompted preset also
            `own_share` and fields of `TaskSettings`.
        knowledge: Concept graph (or `none`) and affect lexicon of a context module that
            reads concepts.
        cache_dir: Where features of frozen encoders are kept, by default in emonet's
            cache folder.
        progress: Show progress bars.
        resume: Go on from the last whole checkpoint in the run folder.
        calibrate: Fit the temperature of the scores on validation and keep it in the
            configuration.
        store: Speaker store that a prompted preset takes its biographies from.
        load_in_4bit: Frozen weights of a prompted preset in 4 bits while its adapters
            learn; what is saved is whole.
    """

    dataset: str
    output_dir: Path
    data_dir: str | None = None
    preset: str = "emonet"
    backbone: str = "minilm"
    seed: int = 1
    config_overrides: dict[str, Any] | None = None
    training_overrides: dict[str, Any] | None = None
    knowledge: tuple[str, str] = ("wordnet", "vader")
    cache_dir: Path | None = None
    progress: bool = True
    resume: bool = False
    calibrate: bool = True
    store: str | Path | None = None
    load_in_4bit: bool = False

    @property
    def checkpoints(self) -> Path:
        """The folder of the Trainer's checkpoints."""
        return self.output_dir / "checkpoints"

    def training_arguments(self, training: Mapping[str, Any]) -> EmoNetTrainingArguments:
        """The Trainer's arguments: fields of `training`, and what the options decide."""
        return EmoNetTrainingArguments(
            output_dir=str(self.checkpoints), seed=self.seed, disable_tqdm=not self.progress, **training
        )


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """The options of [`evaluate_run`].

    Args:
        dataset: Name of a corpus, or a file or folder.
        data_dir: Folder with the corpus's files.
        split: The split to score.
        predictions: File that gets one JSON line a turn.
        engine: `torch`, or `onnx` for a folder of `export_onnx`.
        dtype: What PyTorch computes in (`float32`, `bfloat16`); features of frozen
            encoders stay those that training cached.
        store: Speaker store that a prompted model takes its biographies from.
        load_in_4bit: Linear layers in 4 bits, where bitsandbytes runs.
        cache_dir: Where features of frozen encoders are kept, by default in emonet's
            cache folder.
        progress: Show progress bars.
    """

    dataset: str
    data_dir: str | None = None
    split: str = "test"
    predictions: Path | None = None
    engine: str = "torch"
    dtype: str | None = None
    store: str | Path | None = None
    load_in_4bit: bool = False
    cache_dir: Path | None = None
    progress: bool = True
