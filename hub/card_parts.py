"""Write the generated parts of a model card from a run's files.

A part without facts is an empty string.
"""

import dataclasses
import json
from pathlib import PurePath
from typing import Any

from ..checkpoint.run_record import is_public
from ..configuration_emonet import EmoNetConfig
from ..constants import PACKAGE_VERSION
from ..training.arguments import EmoNetTrainingArguments
from .card_citations import bibtex
from .card_corpora import OWN, corpus_of, corpus_title
from .card_language_model import adapter_fact, is_prompted, speaker_fact
from .card_metadata import backbone_licence, base_model, licence_of
from .example import EXAMPLE
from .requirements import lower_bounds
from .run_files import RunFiles
from .snippets import fine_tune_snippet


def summary(files: RunFiles) -> str:
    """Return title, purpose, facts and the main figure."""
    preset, backbone = files.run.get("preset"), files.config.get("backbone")
    parts = [
        f"# {files.name.rpartition('/')[2]}",
        "An EmoNet: it names the emotion of every turn of a dialogue from its text, what was said before, "
        "and who speaks.",
    ]
    if str(files.config.get("dataset_version")).startswith("sample-"):
        parts.insert(1, _TOY)
    causal = files.config.get("causal", True)
    sees = "earlier turns only" if causal else "earlier and later turns (not for live use)"
    facts = [
        ("Labels", ", ".join(_labels(files))),
        ("Preset", f"`{preset}`" if preset else ""),
        ("Backbone", base_model(files) or PurePath(backbone or "").name),
        ("Adapters", adapter_fact(files)),
        ("Weights", _weights_fact(files)),
        ("Sees", sees),
        ("Speakers", speaker_fact(files.config) if is_prompted(files.config) else _speaker_fact(files)),
        ("Trained on", corpus_title(files.config.get("dataset_version"))),
        ("Licence", _licence_fact(files)),
        ("Language", _language_fact(files)),
        ("CO2", _emissions_fact(files.emissions)),
    ]
    parts.append("\n".join(f"- **{name}:** {value}" for name, value in facts if value))
    first, (title, _) = next(iter(files.metrics.items()))
    if first in files.figures:
        score = 100 * files.figures[first]
        corpus = corpus_title(files.figures.get("dataset_version"))
        title = title[:1].upper() + title[1:]
        parts.append(f"**{title} {score:.2f} %** on the {files.split} set of {corpus}, in one run.")
    return "\n\n".join(parts)


def usage(files: RunFiles) -> str:
    """Return an example that runs as it is, and what this model predicts for it."""
    name = json.dumps(files.name, ensure_ascii=False)  # a folder's name may hold quotes
    trust = "" if files.needs_emonet else ", trust_remote_code=True"
    before = "import emonet\n" if files.needs_emonet else ""
    turns = "\n".join(f"    {json.dumps(turn)}," for turn in EXAMPLE)
    dialogue = files.example.get("dialogue", ())
    rows = "\n".join(f"{row['speaker']}: {row['label']} ({row['score']:.2f})" for row in dialogue)
    printed = f"\n\n```text\n{rows}\n```" if rows else ""
    code = (
        "It loads where the emonet package is installed."
        if files.needs_emonet
        else "The code lies in this repository: read it before you trust it, and pin what you have read with "
        '`revision="<commit>"`. Where the emonet package is installed and imported, nothing needs to be '
        "trusted."
    )
    return f"""## Use

```python
{before}from transformers import pipeline

pipe = pipeline("emotion-in-conversation", model={name}{trust})
dialogue = [
{turns}
]
for turn in pipe(dialogue):
    print(f"{{turn['speaker']}}: {{turn['label']}} ({{turn['score']:.2f}})")
```{printed}

One `{{speaker, text, label, score, scores}}` a turn; a text of lines `Name: text` is read too.
`pipe(dialogue, history={{"Maya": ["..."]}})` tells what a speaker said in earlier dialogues, and
`AutoModel.from_pretrained({name}{trust}).predict(dialogue)` is the same in one call.
Needs `{"` and `".join(lower_bounds())}`. {code}"""


def fine_tuning(files: RunFiles) -> str:
    """Return how to train the model further on one's own data."""
    if is_prompted(files.config) or not files.config:
        return ""
    frozen = bool(files.config.get("freeze_backbone"))
    before = "import emonet\n" if files.needs_emonet else ""
    trained = (
        "the backbone is frozen, and the layers after it are trained" if frozen else "all weights are trained"
    )
    return f"""## Fine-tune

`train.csv` and `validation.csv` have the columns `dialogue_id, speaker, text, emotion`; the labels may be
others than this model's. Here {trained}.

```python
{before}{fine_tune_snippet(files.name, frozen)}```"""


def results(files: RunFiles) -> str:
    """Return all figures, figures by class, and the confusion matrix."""
    figures = files.figures
    if not figures:
        return ""
    turns = f"{figures['n']:,} turns" if "n" in figures else ""
    scope = ", ".join(filter(None, (corpus_title(figures.get("dataset_version")), turns, "in percent")))
    heading = f"## Results on {files.split}\n\n{scope}."
    overall = [
        (title, f"{100 * figures[key]:.2f}")
        for key, (title, _) in files.metrics.items()
        if figures.get(key) is not None
    ]
    by_class = [
        (name, *(f"{100 * row[key]:.2f}" for key in ("f1", "precision", "recall")), f"{row['support']:,}")
        for name, row in figures.get("per_class", {}).items()
    ]
    parts = [heading, _table(("metric", "value"), overall)]
    temperature = files.config.get("calibration_temperature", 1.0)
    if "ece" in figures and temperature != 1.0:
        parts.append(
            f"Scores are calibrated: logits are divided by a temperature of {temperature:.2f}, fitted on "
            f"validation. The expected calibration error here is {100 * figures['ece']:.1f} %."
        )
    if files.run.get("class_bias"):
        parts.append(
            "A bias for every class, added to the logits, was fitted to "
            f"{next(iter(files.metrics.values()))[0]} on {_fitted_on(files.run)}."
        )
    if by_class:
        parts.append(_table(("emotion", "F1", "precision", "recall", "turns"), by_class))
    if figures.get("confusion_matrix"):
        rows = [
            (f"**{name}**", *map(str, row))
            for name, row in zip(figures["per_class"], figures["confusion_matrix"], strict=True)
        ]
        parts += ["Annotated emotion by row, predicted by column:", _table(("", *figures["per_class"]), rows)]
    if files.plot_split:
        if files.plot_split != files.split:
            parts.append(f"As a picture for {files.plot_split}, by which the epoch was chosen:")
        parts.append(f"![Confusion matrix on {files.plot_split}](confusion_matrix.png)")
    return "\n\n".join(parts)


def _fitted_on(run: dict[str, Any]) -> str:
    if run.get("training", {}).get("logit_adjustment") == "validation":
        return "validation, whose own figures it flatters"
    return "training dialogues, each by the head that had left it out"


def data_notes(files: RunFiles) -> str:
    """Return what the corpus is, how it was labelled, and its licence."""
    version = files.config.get("dataset_version")
    if not version:
        return ""
    known = corpus_of(version)
    notes = known.notes if known else OWN
    labelled = files.run.get("labelled_turns") or {}
    counts = ", ".join(f"{split} {count:,}" for split, count in labelled.items())
    learnt = f" Labelled turns: {counts}." if counts else ""
    return f"## Data\n\nVersion `{version}`.{learnt} {notes}"


def training(files: RunFiles) -> str:
    """Return the training's history, its settings, sizes and versions."""
    run = files.run
    if not run:
        return ""
    parts = ["## Training"]
    if run.get("epochs"):
        keys = [
            key for key in ("train_loss", "loss", *files.metrics) if any(key in row for row in run["epochs"])
        ]
        titles = {
            "train_loss": "training loss",
            "loss": "validation loss",
            **{key: title for key, (title, _) in files.metrics.items()},
        }
        rows = []
        for row in run["epochs"]:
            cells = [str(row["epoch"]), *(_figure(key, row.get(key)) for key in keys)]
            rows.append(
                [f"**{cell}**" if cell and row["epoch"] == run.get("best_epoch") else cell for cell in cells]
            )
        parts += [
            "Validation by epoch; the kept one is bold.",
            _table(("epoch", *(titles[key] for key in keys)), rows),
        ]
    settings = {**run.get("training", {}), **run.get("config", {})}
    defaults = _defaults()
    shown = {name: settings.get(name, defaults[name]) for name in _ALWAYS_SHOWN}
    shown |= dict(
        sorted(item for item in settings.items() if item not in defaults.items() and is_public(*item))
    )
    if run.get("seed") is not None:
        shown = {"seed": run["seed"], **shown}
    lines = [(f"`{name}`", f"`{value}`") for name, value in shown.items()]
    parts.append(
        _folded(
            "Settings: the usual four, and what differs from the defaults",
            _table(("setting", "value"), lines),
        )
    )
    sizes = [(name, f"{run[key]:,}") for key, name in _SIZES.items() if isinstance(run.get(key), int)]
    seconds = [(f"seconds, {name}", f"{value:g}") for name, value in (run.get("seconds") or {}).items()]
    dtype = [("computed in", f"{run['dtype']}; weights in float32")] if run.get("dtype") else []
    versions = [(name, str(value)) for name, value in run.get("versions", {}).items()]
    facts = [*sizes, *seconds, *dtype, *versions]
    parts.append(_folded("Size, time and versions", _table(("", ""), facts)))
    return "\n\n".join(parts)


def citation(files: RunFiles) -> str:
    """Return what to cite."""
    corpus = str(files.config.get("dataset_version"))
    works = ["emonet", "compm"] + ["lora"] * bool(adapter_fact(files))
    works += [corpus.partition("-")[0]] if corpus_of(corpus) else []
    return f"## Citation\n\n```bibtex\n{bibtex(works, PACKAGE_VERSION)}\n```"


def _defaults() -> dict[str, Any]:
    """Return the default of every configuration field and training argument."""
    training = {field.name: field.default for field in dataclasses.fields(EmoNetTrainingArguments)}
    return {**training, **EmoNetConfig.own_defaults()}


_TOY = """> **A toy.** It was trained in a minute on 65 invented dialogues, to show that everything works.
> On real conversations its answers mean nothing."""
_ALWAYS_SHOWN = ("learning_rate", "num_train_epochs", "per_device_train_batch_size")
_SIZES = {"parameters": "parameters", "trainable_parameters": "trained parameters"}


def _weights_fact(files: RunFiles) -> str:
    """Return that the backbone is fetched, if the repository holds the heads alone."""
    if not files.adapter or "rank" in files.adapter:
        return ""
    return "the trained heads alone; loading fetches the frozen backbone and checks its digest"


def _licence_fact(files: RunFiles) -> str:
    """Return the licence and what it follows from, or what is unknown of it."""
    version, licence = files.config.get("dataset_version"), licence_of(files)
    if not version:
        return f"`{licence}`, as the backbone" if licence else ""
    if licence != "other":
        return f"`{licence}`, which backbone and corpus allow"
    unknown = [] if backbone_licence(files) else ["of the backbone"]
    unknown += [] if corpus_of(version) else ["of the training data"]
    reason = (
        f"the licence {' and that '.join(unknown)} is not known here"
        if unknown
        else "the corpus has terms of its own"
    )
    return f"not stated, because {reason}; clear it before you share the model"


def _language_fact(files: RunFiles) -> str:
    version = files.config.get("dataset_version")
    known = corpus_of(version)
    if known:
        return {"en": "English"}[known.language]
    return "that of the training data, which is not stated here" if version else ""


def _emissions_fact(emissions: dict[str, Any]) -> str:
    if not emissions:
        return ""
    return f"{emissions['emissions']:.3g} g of CO2 equivalents in training, measured by codecarbon"


def _labels(files: RunFiles) -> list[str]:
    names = files.config.get("id2label") or {}
    return [names[key] for key in sorted(names, key=int)]


def _speaker_fact(files: RunFiles) -> str:
    identity = {
        "none": "not told apart",
        "local": "told apart within a dialogue",
        "global": f"{len(files.speakers) or ''} persons known by name, the others as one unknown".strip(),
        "name": "by name, as text",
    }.get(files.config.get("speaker_identity", "global"), "")
    memory = {"dialogue": "earlier in the dialogue", "corpus": "earlier, in other dialogues too"}
    remembered = memory.get(files.config.get("speaker_memory", "corpus"))
    return f"{identity}; with a memory of what they said {remembered}" if remembered else identity


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if key.endswith("loss") else f"{100 * value:.2f}"


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    """Escape a cell: a bar or a line break in a label or pattern would end it."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _folded(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"
