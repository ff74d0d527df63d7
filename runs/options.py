"""The options of a training run and of an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ..constants import AUTO
from ..data import Conversations, load_conversations
from ..data.folds import Fold
from ..dialogue.names import Speakers
from ..dialogue.tables.columns import Columns
from ..engines.auto_dtype import resolved_dtype
from ..training.arguments import EmoNetTrainingArguments


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What to read, as in [`load_conversations`].

    Args:
        dataset: Name of a corpus, a file or folder, or a dataset's id on the Hub.
        data_dir: Folder with the corpus's files.
        speakers: Who is the same person in every dialogue; None: as in training.
        interleaved: Whether the rows of a dialogue in your own files may stand between
            those of others.
        columns: The columns of your own data, by field.
        fold: The fold of whole episodes whose splits replace those of the corpus.
    """

    dataset: str
    data_dir: str | None = None
    speakers: Speakers | None = "auto"
    interleaved: bool = False
    columns: Columns | None = None
    fold: Fold | None = None

    def load(self, **options: Any) -> Conversations:
        """Load the corpus, with further options of [`load_conversations`]."""
        return load_conversations(
            self.dataset,
            self.data_dir,
            speakers="auto" if self.speakers is None else self.speakers,
            interleaved=self.interleaved,
            columns=self.columns,
            fold=self.fold,
            **options,
        )


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions):
    """The options of [`train_run`], beside those of [`DataOptions`].

    Args:
        output_dir: The run folder.
        preset: Name of a packed or a prompted preset; empty for a prompted model without
            a preset.
        backbone: Hub id, folder, or name of an embedded backbone. A trained EmoNet (a run
            folder, a repository, `emorynlp`) is fine-tuned: see [`continue_training`].
        seed: Seed of all random numbers.
        config_overrides: `EmoNetConfig` fields, or `PromptSettings` fields of a prompted
            preset.
        training_overrides: `EmoNetTrainingArguments` fields; for a prompted preset also
            `own_share` and fields of `TaskSettings`.
        knowledge: Concept graph (or `none`) and affect lexicon, for a context module that
            reads concepts.
        cache_dir: Folder for features of frozen encoders, by default in emonet's cache
            folder.
        progress: Show progress bars.
        resume: Continue from the last complete checkpoint in the run folder.
        calibrate: Fit the temperature of the scores on validation and store it in the
            configuration.
        store: Speaker store with the biographies of a prompted preset.
        load_in_4bit: Load the frozen weights of a prompted preset in 4 bits during
            training; the saved model has full precision.
        use_trainer: Train the heads of a frozen backbone step by step in the Trainer too,
            not in one program (`training/heads.py`).
        merge_backbone: Save a frozen backbone too, which is otherwise fetched on loading.
        dtype: One of `DTYPES`. A frozen backbone reads the corpus in it. A trained one
            learns under autocast if it is bfloat16, unless `training_overrides` has
            `bf16` or `fp16`. Weights are float32.
    """

    output_dir: Path
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
    merge_backbone: bool = False
    use_trainer: bool = False
    dtype: str = AUTO

    @property
    def checkpoints(self) -> Path:
        """Folder of the Trainer's checkpoints."""
        return self.output_dir / "checkpoints"

    def training_arguments(
        self, training: Mapping[str, Any], trains_backbone: bool = False
    ) -> EmoNetTrainingArguments:
        """Make the Trainer's arguments from `training` and these options.

        Where codecarbon is installed, it measures the training's emissions for the card.

        Args:
            training: Fields of the arguments.
            trains_backbone: Whether a transformer learns; if `dtype` is bfloat16, it does
                so under autocast. Heads alone are too small to gain from it.
        """
        if trains_backbone and not {"bf16", "fp16"} & training.keys():
            device = torch.accelerator.current_accelerator() or torch.device("cpu")
            training = {**training, "bf16": resolved_dtype(self.dtype, device) == "bfloat16"}
        measured = find_spec("codecarbon") is not None and torch.version.hip is None
        return EmoNetTrainingArguments(
            output_dir=str(self.checkpoints),
            seed=self.seed,
            disable_tqdm=not self.progress,
            **{"report_to": "codecarbon" if measured else "none", **training},
        )


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(DataOptions):
    """The options of [`evaluate_run`], beside those of [`DataOptions`].

    Args:
        split: The split to score.
        predictions: File to write one JSON line per turn to.
        known_labels: Which gold labels to show to the model as known: a share of the
            turns, which are then not scored, or `earlier` (all turns before the one that
            is scored). Default: none.
        known_seed: Seed of the choice of turns.
        engine: `torch`, or `onnx` for a folder of `export_onnx`.
        dtype: One of `DTYPES`; see [`computing_in`].
        store: Speaker store with the biographies of a prompted model.
        load_in_4bit: Load linear layers in 4 bits; needs bitsandbytes.
        cache_dir: Folder for features of frozen encoders, by default in emonet's cache
            folder.
        progress: Show progress bars.
    """

    speakers: Speakers | None = None
    split: str = "test"
    predictions: Path | None = None
    known_labels: float | str | None = None
    known_seed: int = 0
    engine: str = "torch"
    dtype: str = AUTO
    store: str | Path | None = None
    load_in_4bit: bool = False
    cache_dir: Path | None = None
    progress: bool = True
