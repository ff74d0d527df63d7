"""Read the files of a run folder for its card, and name the metrics of the card."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..backbones.embedded import EMBEDDED_BACKBONES
from ..checkpoint.adapters import ADAPTER_FILE
from ..data.loading import primary_metric
from ..errors import EmoNetError
from ..files.guard import parse_json
from ..pretrained.models import is_built_in
from ..prompted.processing import BIOGRAPHIES_FILE
from .example import read_example

METRICS = {
    "weighted_f1": ("weighted F1", "f1"),
    "macro_f1": ("macro F1", "f1"),
    "micro_f1_no_neutral": ("micro F1 without neutral", "f1"),
    "accuracy": ("accuracy", "accuracy"),
    "weighted_f1_3class": ("weighted F1, three classes", "f1"),
}


@dataclass
class RunFiles:
    """The files of a run folder; those that it does not hold are empty.

    Attributes:
        name: Hub id, or the folder's name.
        config: `config.json`.
        run: `run.json`.
        figures: Test figures if there are any, else those of validation (without classes
            after a plain `Trainer`).
        speakers: Names of known persons.
        plot_split: The split of the picture of the confusion matrix.
        adapter: The record of adapters that are saved without their backbone.
        biographies: The biographies of a prompted model, by name.
        example: What the model predicts for `EXAMPLE`; see `write_example`.
        is_built_in: Whether the folder is that of a built-in model.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    speakers: list[str] = field(default_factory=list)
    plot_split: str | None = None
    adapter: dict[str, Any] = field(default_factory=dict)
    biographies: dict[str, Any] = field(default_factory=dict)
    example: dict[str, Any] = field(default_factory=dict)
    is_built_in: bool = False

    @property
    def split(self) -> str:
        """The split of the figures."""
        return str(self.figures.get("split", "validation"))

    @property
    def emissions(self) -> dict[str, Any]:
        """What codecarbon measured, as the Hub names it; empty without a measurement."""
        return self.run.get("co2_eq_emissions") or {}

    @property
    def needs_emonet(self) -> bool:
        """Whether the model loads only where the package is installed."""
        adapter = self.adapter
        return self.is_built_in or (
            adapter.get("backbone") in EMBEDDED_BACKBONES and not adapter.get("hub_id")
        )

    @property
    def metrics(self) -> dict[str, tuple[str, str]]:
        """Titles and kinds of the metrics, the training corpus's own one first."""
        first = primary_metric(self.config.get("dataset_version"))
        return {first: METRICS[first], **METRICS}

    @classmethod
    def read(cls, folder: Path, repo_id: str | None = None) -> "RunFiles":
        """Read the files of `folder`.

        Raises:
            EmoNetError: If a file is not JSON.
        """
        test, validation = _json(folder / "test_metrics.json"), _json(folder / "metrics.json")
        config, run = _json(folder / "config.json"), _json(folder / "run.json")
        figures = test or validation
        if not figures:  # a plain Trainer writes the figures of epochs only
            best = (row for row in run.get("epochs", []) if row["epoch"] == run.get("best_epoch"))
            kept: dict[str, Any] = next(best, {})
            figures = {key: kept[key] for key in METRICS if key in kept}
            if figures:
                figures |= {"split": "validation", "dataset_version": config.get("dataset_version")}
        plotted = (folder / "confusion_matrix.png").is_file()
        return cls(
            name=repo_id or folder.resolve().name,
            config=config,
            run=run,
            figures=figures,
            speakers=_json(folder / "speakers.json").get("speakers", []),
            plot_split=validation.get("split", "validation") if plotted else None,
            adapter=_json(folder / ADAPTER_FILE),
            biographies=_json(folder / BIOGRAPHIES_FILE).get("biographies", {}),
            example=read_example(folder),
            is_built_in=is_built_in(folder),
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        fix = "the card is made from it. Restore the file or delete it."
        raise EmoNetError(f"{path}: no JSON ({error}); {fix}") from error
    return content if isinstance(content, dict) else {}
