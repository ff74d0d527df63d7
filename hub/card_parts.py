"""Write the generated parts of a model card from a run's files.

A part without facts is an empty string.
"""

import dataclasses
import json
import re
from pathlib import PurePath
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from ..backbones.embedded import EMBEDDED_BACKBONES
from ..checkpoint.run_record import is_public
from ..configuration_emonet import EmoNetConfig
from ..training.arguments import EmoNetTrainingArguments
from .card_language_model import adapter_fact, is_prompted, speaker_fact
from .run_files import RunFiles

_EMORY_LABELS = """

Labels: seven emotions of Willcox's feeling wheel, one a turn, from four crowd workers. Their agreement
is low (κ about 0.14, Zahiri and Choi 2018), and identical lines carry different labels, so no system can
come near 100 %. Licence of the corpus: Apache-2.0."""
_IEMOCAP = """[IEMOCAP](https://sail.usc.edu/iemocap/): acted conversations of ten people in pairs, as
text. Session 5 is the test set; validation is a tenth of the dialogues of the other sessions. All pairs
act the same three scripts, so test has lines that training has too.

Labels: the majority vote of three annotators who saw and heard the turn, so some can't be told from the
words alone. Turns on which they did not agree, and those with other labels, are not scored."""
_IEMOCAP_LICENCE = "Licence of the corpus: for research, on request from its owners."
_EMORY = "[EmoryNLP](https://github.com/emorynlp/emotion-detection)"
# By dataset version without its number: the title, and notes on data and labels.
CORPORA = {
    "emorynlp-full": (
        "EmoryNLP, full",
        f"""{_EMORY}, the full corpus: scenes of the television series Friends. Its test set (1,328 turns) is
not that of the smaller, aligned version that many papers use; figures on the two don't
compare.{_EMORY_LABELS}""",
    ),
    "emorynlp-aligned": (
        "EmoryNLP, aligned",
        f"""{_EMORY} in the aligned version: scenes of the television series Friends, fewer than in the full
corpus and with another test set; figures on the two don't compare.{_EMORY_LABELS}""",
    ),
    "iemocap": ("IEMOCAP, six labels", f"{_IEMOCAP}\n{_IEMOCAP_LICENCE}"),
    "iemocap-4": (
        "IEMOCAP, four labels",
        f"{_IEMOCAP}\nHere `excited` counts as `happy`. {_IEMOCAP_LICENCE}",
    ),
    "dailydialog": (
        "DailyDialog",
        """[DailyDialog](http://yanran.li/dailydialog): everyday conversations of two people, written for
learners of English.

Labels: Ekman's six emotions, and neutral for 83 % of the turns. Micro F1 without neutral is the field's
metric for this corpus, and chose the epoch. Licence of the corpus: CC BY-NC-SA 4.0.""",
    ),
    "meld": (
        "MELD",
        """[MELD](https://github.com/declare-lab/MELD): dialogues of the television series Friends, as text.

Labels: seven emotions from three annotators with the video in view, so some can't be told from the words
alone. Their agreement is moderate (Fleiss' κ 0.43, Poria et al. 2019); almost half of all turns are
neutral. Licence of the corpus: GPL-3.0.""",
    ),
    "sample": (
        "The Albatross",
        """The Albatross, the small invented sitcom that comes with emonet. It is there to try things out;
figures on it say nothing about real data. Each label is the emotion that the line was written to carry;
nobody annotated it. Licence: CC0-1.0.""",
    ),
}
_CITATIONS = {
    "compm": """Lee and Lee, CoMPM: Context Modeling with Speaker's Pre-trained Memory Tracking for Emotion
  Recognition in Conversation, NAACL 2022.""",
    "lora": "Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.",
    "emorynlp": """Zahiri and Choi, Emotion Detection on TV Show Transcripts with Sequence-based Convolutional
  Neural Networks, AAAI workshops 2018.""",
    "iemocap": """Busso et al., IEMOCAP: Interactive Emotional Dyadic Motion Capture Database, Language
  Resources and Evaluation 42, 2008.""",
    "dailydialog": """Li et al., DailyDialog: A Manually Labelled Multi-turn Dialogue Dataset, IJCNLP
  2017.""",
    "meld": """Poria et al., MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations,
  ACL 2019.""",
}
_OWN = (
    "The user's own conversations; ask whoever trained the model where they come from and how they were "
    "labelled."
)


def metadata(files: RunFiles) -> str:
    """Return the YAML in front: what the Hub shows, filters by, and lists as results."""
    version, eval_results = files.config.get("dataset_version"), _eval_results(files)
    data = ModelCardData(
        language="en",
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["emotion-recognition-in-conversation", "emotion", "dialogue", "speaker-aware", "emonet"],
        base_model=_base_model(files),
        datasets=[version] if version else None,
        metrics=["f1", "accuracy"] if files.figures else None,
        model_name=files.name.rpartition("/")[2] if eval_results else None,
        eval_results=eval_results or None,
    )
    return as_yaml(data.to_dict())  # type: ignore[no-untyped-call]


def as_yaml(front: dict[str, Any]) -> str:
    """Return metadata as YAML, without the lines of dashes around it."""
    text: str = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=120)
    return text.strip()


def summary(files: RunFiles) -> str:
    """Return title, purpose, facts and the main figure."""
    preset, backbone = files.run.get("preset"), files.config.get("backbone")
    parts = [
        f"# {files.name.rpartition('/')[2]}",
        "An EmoNet: it names the emotion of every turn of a dialogue from its text, what was said before, "
        "and who speaks.",
    ]
    causal = files.config.get("causal", True)
    sees = "earlier turns only" if causal else "earlier and later turns (not for live use)"
    facts = [
        ("Labels", ", ".join(_labels(files))),
        ("Preset", f"`{preset}`" if preset else ""),
        ("Backbone", _base_model(files) or PurePath(backbone or "").name),
        ("Adapters", adapter_fact(files)),
        ("Weights", _weights_fact(files)),
        ("Sees", sees),
        ("Speakers", speaker_fact(files.config) if is_prompted(files.config) else _speaker_fact(files)),
        ("Trained on", _corpus_title(files.config.get("dataset_version"))),
    ]
    parts.append("\n".join(f"- **{name}:** {value}" for name, value in facts if value))
    first, (title, _) = next(iter(files.metrics.items()))
    if first in files.figures:
        score = 100 * files.figures[first]
        corpus = _corpus_title(files.figures.get("dataset_version"))
        title = title[:1].upper() + title[1:]
        parts.append(f"**{title} {score:.2f} %** on the {_split(files)} set of {corpus}, in one run.")
    return "\n\n".join(parts)


def usage(files: RunFiles) -> str:
    """Return an example that runs as it is."""
    name = json.dumps(files.name, ensure_ascii=False)  # a folder's name may hold quotes
    call = f"AutoModel.from_pretrained({name}, trust_remote_code=True).predict(dialogue)"
    return f"""## Use

```python
from transformers import pipeline

pipe = pipeline("emotion-in-conversation", model={name}, trust_remote_code=True)
pipe([{{"speaker": "Monica", "text": "We had a deal!"}}, {{"speaker": "Ross", "text": "I know, I know."}}])
```

One `{{speaker, text, label, score, scores}}` a turn. `history={{"Monica": ["..."]}}` tells what a speaker
said in earlier dialogues; `{call}` is the same in one call. The code lies in this repository:
read it before you trust it, and pin what you have read with `revision="<commit>"`. Where the emonet
package is installed and imported, nothing needs to be trusted."""


def results(files: RunFiles) -> str:
    """Return all figures, figures by class, and the confusion matrix."""
    figures = files.figures
    if not figures:
        return ""
    turns = f"{figures['n']:,} turns" if "n" in figures else ""
    scope = ", ".join(filter(None, (_corpus_title(figures.get("dataset_version")), turns, "in percent")))
    heading = f"## Results on {_split(files)}\n\n{scope}."
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
        if files.plot_split != _split(files):
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
    known = _corpus(version)
    notes = known[1] if known else _OWN
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
    versions = [(name, str(value)) for name, value in run.get("versions", {}).items()]
    parts.append(_folded("Size, time and versions", _table(("", ""), [*sizes, *seconds, *versions])))
    return "\n\n".join(parts)


def citation(files: RunFiles) -> str:
    """Return what to cite."""
    works = ["emonet (this model's package): see `CITATION.cff` there.", _CITATIONS["compm"]]
    works += [_CITATIONS["lora"]] if adapter_fact(files) else []
    version = str(files.config.get("dataset_version"))
    corpus = version.partition("-")[0]
    works += [_CITATIONS[corpus]] if corpus in _CITATIONS and _corpus(version) else []
    return "## Citation\n\n" + "\n".join(f"- {work}" for work in works)


def _defaults() -> dict[str, Any]:
    """Return the default of every configuration field and training argument."""
    training = {field.name: field.default for field in dataclasses.fields(EmoNetTrainingArguments)}
    return {**training, **EmoNetConfig.own_defaults()}


_ALWAYS_SHOWN = ("learning_rate", "num_train_epochs", "per_device_train_batch_size")
_SIZES = {"parameters": "parameters", "trainable_parameters": "trained parameters"}


def _eval_results(files: RunFiles) -> list[EvalResult]:
    """Return the figures as the Hub lists them: overall, then F1 by class."""
    figures = files.figures
    version = str(figures.get("dataset_version") or "own")
    corpus, _, revision = version.rpartition("-")
    scores = [
        (title, kind, figures[key])
        for key, (title, kind) in files.metrics.items()
        if figures.get(key) is not None
    ]
    scores += [(f"F1 of {name}", "f1", row["f1"]) for name, row in figures.get("per_class", {}).items()]
    return [
        EvalResult(
            task_type="text-classification",
            task_name="Emotion recognition in conversation",
            dataset_type=corpus or version,
            dataset_name=(_corpus(version) or (version,))[0],
            dataset_split=_split(files),
            dataset_revision=revision,
            metric_type=kind,
            metric_name=title,
            metric_value=round(score, 6),
        )
        for title, kind, score in scores
    ]


def _weights_fact(files: RunFiles) -> str:
    """Return that the backbone is fetched, if the repository holds the heads alone."""
    if not files.adapter or "rank" in files.adapter:
        return ""
    return "the trained heads alone; loading fetches the frozen backbone and checks its digest"


def _base_model(files: RunFiles) -> str | None:
    backbone = files.config.get("backbone") or ""
    name = EMBEDDED_BACKBONES[backbone].hub_id if backbone in EMBEDDED_BACKBONES else backbone
    return name if re.fullmatch(r"[\w.-]+/[\w.-]+", name) else None


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


def _split(files: RunFiles) -> str:
    return str(files.figures.get("split", "validation"))


def _corpus(version: str) -> tuple[str, str] | None:
    return CORPORA.get(version.rpartition("-")[0])


def _corpus_title(version: str | None) -> str:
    if not version:
        return ""
    known = _corpus(version)
    return f"{known[0]} (`{version}`)" if known else f"`{version}`"


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
