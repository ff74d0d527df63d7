"""Train a preset on a corpus."""

from pathlib import Path
from typing import Any

from .families import Family
from .options import TrainOptions
from .packed import PackedFamily
from .pipeline import run_training
from .prompted.family import PromptedFamily
from .prompted.presets import PROMPTED_PRESETS


def train_run(dataset: str, output_dir: str | Path, **options: Any) -> dict[str, Any]:
    """Train a preset, keep the best epoch on validation, and write the run folder.

    The folder holds the checkpoint, tokenizer, `speakers.json`, `run.json` (settings and
    metrics of every epoch), and `metrics.json`, `predictions.jsonl` and plots of the
    validation split. The test split is not read.

    Args:
        dataset: Name of a corpus, or a file or folder.
        output_dir: The run folder.
        options: The other fields of [`TrainOptions`].

    Returns:
        The content of `run.json`.

    Raises:
        EmoNetError: If the corpus, preset, backbone or an option cannot be used.
    """
    run = TrainOptions(dataset=dataset, output_dir=Path(output_dir), **options)
    family: Family[Any, Any] = PromptedFamily() if run.preset in PROMPTED_PRESETS else PackedFamily()
    return run_training(run, family.prepare)[1]
