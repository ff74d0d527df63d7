"""Write the YAML in front of a card: what the Hub shows, filters by, and lists."""

import re
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from ..backbones.embedded import EMBEDDED_BACKBONES
from .card_corpora import corpus_of
from .example import EXAMPLE
from .run_files import RunFiles

# By Hub id without its owner, in lower case.
_BACKBONE_LICENCES = {
    "all-minilm-l6-v2": "apache-2.0",
    "smollm2-135m": "apache-2.0",
    "smollm2-135m-instruct": "apache-2.0",
    "bert-base-cased": "apache-2.0",
    "bert-base-uncased": "apache-2.0",
    "bert-large-uncased": "apache-2.0",
    "modernbert-base": "apache-2.0",
    "modernbert-large": "apache-2.0",
    "deberta-v3-base": "mit",
    "deberta-v3-large": "mit",
    "roberta-base": "mit",
    "roberta-large": "mit",
}
# From the most to the least permissive; a work on two of the first four takes the later.
_STRICTNESS = ("cc0-1.0", "mit", "apache-2.0")
_OTHER = "other"


def metadata(files: RunFiles) -> str:
    """Return the metadata as YAML."""
    eval_results, licence, version = (
        _eval_results(files),
        licence_of(files),
        files.config.get("dataset_version"),
    )
    corpus = corpus_of(version)
    further: dict[str, Any] = {"license_name": "not-stated"} if licence == _OTHER else {}
    if files.example:
        further["widget"] = files.example["texts"]
    if files.emissions:
        further["co2_eq_emissions"] = files.emissions
    data = ModelCardData(
        language=corpus.language if corpus else None,
        license=licence,
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["emotion-recognition-in-conversation", "emotion", "dialogue", "speaker-aware", "emonet"],
        base_model=base_model(files),
        datasets=[files.run["dataset_id"]] if files.run.get("dataset_id") else None,
        metrics=["f1", "accuracy"] if files.figures else None,
        model_name=files.name.rpartition("/")[2] if eval_results else None,
        eval_results=eval_results or None,
        **further,
    )
    return as_yaml(data.to_dict())  # type: ignore[no-untyped-call]


def as_yaml(front: dict[str, Any]) -> str:
    """Return metadata as YAML, without the lines of dashes around it."""
    text: str = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=120)
    return text.strip()


def base_model(files: RunFiles) -> str | None:
    """Return the backbone's Hub id, None where it has none."""
    backbone = files.config.get("backbone") or ""
    name = EMBEDDED_BACKBONES[backbone].hub_id if backbone in EMBEDDED_BACKBONES else backbone
    return name if re.fullmatch(r"[\w.-]+/[\w.-]+", name) else None


def licence_of(files: RunFiles) -> str | None:
    """Return the licence that backbone and corpus leave to the weights.

    It is `other` where one of both is unknown or has terms of its own, and None without
    a backbone and a corpus.
    """
    version = files.config.get("dataset_version")
    corpus, backbone = corpus_of(version), backbone_licence(files)
    if not version:
        return backbone
    of_corpus = corpus.licence if corpus else _OTHER
    if backbone is None or of_corpus == _OTHER:
        return _OTHER
    both = {backbone, of_corpus}
    return max(both, key=_STRICTNESS.index) if both <= set(_STRICTNESS) else of_corpus


def backbone_licence(files: RunFiles) -> str | None:
    """Return the licence of the backbone, None where it is not known here."""
    backbone = str(files.config.get("backbone") or "")
    return _BACKBONE_LICENCES.get((base_model(files) or backbone).rpartition("/")[2].lower())


def is_generated_widget(widget: Any) -> bool:
    """Return whether the entries are examples of this package, which nobody edited."""
    known = {turn["text"] for turn in EXAMPLE}
    return isinstance(widget, list) and all(
        isinstance(entry, dict) and set(entry) == {"text", "output"} and entry["text"] in known
        for entry in widget
    )


def _eval_results(files: RunFiles) -> list[EvalResult]:
    """Return the figures as the Hub lists them: overall, then F1 by class."""
    figures = files.figures
    version = str(figures.get("dataset_version") or "own")
    known = corpus_of(version)
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
            dataset_name=known.title if known else version,
            dataset_split=files.split,
            dataset_revision=revision,
            metric_type=kind,
            metric_name=title,
            metric_value=round(score, 6),
        )
        for title, kind, score in scores
    ]
