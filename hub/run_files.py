"""The files of a run folder that its card is made from, and the metrics that it shows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoint.adapters import ADAPTER_FILE
from ..errors import EmoNetError
from ..files.guard import parse_json
from ..prompted.processing import BIOGRAPHIES_FILE

METRICS = {
    "weighted_f1": ("weighted F1", "f1"),
    "macro_f1": ("macro F1", "f1"),
    "micro_f1_no_neutral": ("micro F1 without neutral", "f1"),
    "accuracy": ("accuracy", "accuracy"),
    "weighted_f1_3class": ("weighted F1, three classes", "f1"),
}


@dataclass
class RunFiles:
    """What a run folder says about itself; what it does not hold is empty.

    Attributes:
        name: Hub id, or the folder's name.
        config: `config.json`.
        run: `run.json`.
        figures: Test figures where there are some, else validation's (without classes
            where a plain Trainer ran).
        speakers: Names of known persons.
        plot_split: The split of the confusion matrix that lies there as a picture.
        adapter: Facts of adapters that lie there without their backbone.
        biographies: By name, those that a prompted model is told.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    speakers: list[str] = field(default_factory=list)
    plot_split: str | None = None
    adapter: dict[str, Any] = field(default_factory=dict)
    biographies: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, repo_id: str | None = None) -> "RunFiles":
        """The files of `folder`."""
        test, validation = _json(folder / "test_metrics.json"), _json(folder / "metrics.json")
        config, run = _json(folder / "config.json"), _json(folder / "run.json")
        figures = test or validation
        if not figures:  # a plain Trainer leaves the epochs' figures alone
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
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        mend = "the card is made from it. Restore the file or delete it."
        raise EmoNetError(f"{path}: no JSON ({error}); {mend}") from error
    return content if isinstance(content, dict) else {}
