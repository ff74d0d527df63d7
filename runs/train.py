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
    """Train a preset on a corpus, keep the best epoch on validation, and write the run
    folder.

    The folder holds the checkpoint, tokenizer, `speakers.json`, `run.json` (what was run,
    every epoch's figures), and the validation's `metrics.json`, `predictions.jsonl` and
    plots. The test split is not read.

    Args:
        dataset: Name of a corpus, or a file or folder.
        output_dir: The run folder.
        options: The other fields of [`TrainOptions`].

    Returns:
        The content of `run.json`.

    Raises:
        EmoNetError: for a corpus, preset, backbone or option that can't be used, saying
            why.
    """
    asked = TrainOptions(dataset=dataset, output_dir=Path(output_dir), **options)
    family: Family = PromptedFamily() if asked.preset in PROMPTED_PRESETS else PackedFamily()
    return run_training(asked, family.prepare)[1]
