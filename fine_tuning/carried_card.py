"""Keep a repository's card in trainings without emonet installed.

The Trainer would write a card of its own over it.
"""

import json
import os
import re
from collections.abc import Mapping
from functools import wraps
from pathlib import Path
from shutil import copyfile
from typing import Any

from huggingface_hub import ModelCard

from ..checkpoint.adapters import fetched

CARD = "README.md"
_PART = r"(<!-- emonet:begin {0} -->\n).*?(\n<!-- emonet:end {0} -->)"
_NAME = re.compile(r'pipeline\("emotion-in-conversation", model=("(?:[^"\\]|\\.)*")')
# Entries of the metadata; the Hub's library writes `eval_results` as `model-index`.
_OF_OLD_DATA = (
    "eval_results",
    "model_name",
    "widget",
    "datasets",
    "co2_eq_emissions",
    "language",
    "license_link",
)
_METRICS = {"weighted_f1": "weighted F1", "macro_f1": "macro F1", "accuracy": "accuracy"}
_NO_COMPANIONS = ("trainer_state.json", "run.json")
_COMPANIONS = (".py", ".json", ".md", ".txt", ".jinja", ".model")


def keep_cards() -> None:
    """Let the plain Trainer push whole repositories of fine-tuned models.

    It asks the model for nothing when it writes a card, so its methods are wrapped, once.
    """
    from transformers import Trainer

    trainers: Any = Trainer
    create, push = trainers.create_model_card, trainers._push_from_checkpoint
    if hasattr(create, "keeps_cards"):
        return

    @wraps(create)
    def create_model_card(trainer: Any, *arguments: Any, **options: Any) -> None:
        card = _card(trainer)
        if card is None:
            create(trainer, *arguments, **options)
        elif trainer.is_world_process_zero():
            Path(trainer.args.output_dir, CARD).write_text(card, "utf-8")

    @wraps(push)
    def push_from_checkpoint(trainer: Any, checkpoint_folder: str) -> None:
        card = _card(trainer)
        if card is not None and trainer.is_world_process_zero():
            folder = Path(trainer.args.output_dir)
            for path in Path(checkpoint_folder).iterdir():
                if path.suffix in _COMPANIONS and path.name not in _NO_COMPANIONS:
                    copyfile(path, folder / path.name)
            (folder / CARD).write_text(card, "utf-8")
        push(trainer, checkpoint_folder)

    create_model_card.__dict__["keeps_cards"] = True
    trainers.create_model_card = create_model_card
    trainers._push_from_checkpoint = push_from_checkpoint


def _card(trainer: Any) -> str | None:
    """The card of a Trainer's model; None for models that `prepare` did not set up."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    source = getattr(model, "fine_tuned_from", None)
    if source is None:
        return None
    path = fetched(source, CARD, revision=getattr(model.config, "_commit_hash", None))
    text = Path(path).read_text("utf-8") if path else ""
    name = trainer.hub_model_id or trainer.args.hub_model_id or Path(trainer.args.output_dir).name
    evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    return carried_card(text, source, name, model.config, evaluations[-1] if evaluations else {})


def carried_card(text: str, source: str, name: str, config: Any, figures: Mapping[str, Any]) -> str | None:
    """Rewrite a card for a model that was fine-tuned from the card's model.

    What was measured on the old model or tells of its data goes; usage, limits and
    citation stay. A push with emonet installed generates all parts anew.

    Args:
        text: The card.
        source: The repository, or the folder, that the old model was loaded from.
        name: The new repository.
        config: The new model's.
        figures: The last entry with `eval_...` of the Trainer's log, or nothing.

    Returns:
        The new card; None for a card that emonet did not write.
    """
    old = _NAME.search(text)
    if old is None or "<!-- emonet:begin summary -->" not in text:
        return None
    card = ModelCard(text, ignore_metadata_errors=True)
    body = card.text.replace(old[1], json.dumps(name, ensure_ascii=False))
    body = re.sub(r"\n\n```text\n.*?```", "", body, flags=re.DOTALL)  # what the old model printed
    is_public = not os.path.isdir(source)
    origin = f"[{source}](https://huggingface.co/{source})" if is_public else f"`{Path(source).name}`"
    for part, content in {
        "summary": _summary(name, origin, config),
        "results": _results(figures),
        "data": f"## Data\n\nVersion `{config.dataset_version}`; what the model learnt before: {origin}.",
        "training": f"## Training\n\nFine-tuned by the Trainer of transformers, from {origin}.",
    }.items():
        body = re.sub(
            _PART.format(part),
            lambda match, content=content: f"{match[1]}{content}{match[2]}",  # type: ignore[misc]
            body,
            flags=re.DOTALL,
        )
    facts = {"license": "other", "license_name": "not-stated"}
    if is_public:
        facts.update(base_model=source, base_model_relation="finetune")
    for key, value in {**dict.fromkeys(_OF_OLD_DATA), **facts}.items():
        setattr(card.data, key, value)
    card.text = body
    return str(card)


def _summary(name: str, origin: str, config: Any) -> str:
    return (
        f"# {name.rpartition('/')[2]}\n\n"
        "An EmoNet: it names the emotion of every turn of a dialogue from its text, what was said before, "
        f"and who speaks. It was fine-tuned from {origin}.\n\n"
        f"- **Labels:** {', '.join(config.label_names)}\n"
        f"- **Trained on:** `{config.dataset_version}`"
    ).replace("<!-- emonet:", "&lt;!-- emonet:")  # a label may look like a marker


def _results(figures: Mapping[str, Any]) -> str:
    rows = [
        f"| {title} | {100 * figures[f'eval_{key}']:.2f} |"
        for key, title in _METRICS.items()
        if f"eval_{key}" in figures
    ]
    if not rows:
        return ""
    table = "\n".join(["| metric | value |", "| --- | ---: |", *rows])
    epoch = f" after epoch {figures['epoch']:g}" if "epoch" in figures else ""
    return f"## Results on the evaluation data\n\nIn percent{epoch}.\n\n{table}"
