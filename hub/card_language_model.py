"""Write the card's part on the language model, its adapters and biographies."""

from collections import Counter
from typing import Any

from ..backbones.embedded import EMBEDDED_BACKBONES
from ..prompted.configuration import EXTRACTIVE, PromptedEmoNetConfig
from .run_files import RunFiles


def language_model(files: RunFiles) -> str:
    """Return language model, adapters, prompts and the origin of biographies.

    It is empty for models without adapters and prompts.
    """
    prompted = is_prompted(files.config)
    adapters = adapter_fact(files)
    if not (prompted or adapters):
        return ""
    facts = [
        ("Language model", _backbone_fact(files.config)),
        ("Read-out", _prompt_fact(files.config["prompts"]) if prompted else _packed_fact(files.config)),
        ("Learnt first", _first_stage_fact(files.run.get("first_stage"))),
        ("Adapters", adapters or "none: all weights were trained"),
        ("Loss", "weighted by class" if files.config.get("class_weights") else "not weighted"),
    ]
    parts = ["## Language model", "\n".join(f"- **{name}:** {value}." for name, value in facts if value)]
    if prompted and files.config["prompts"].get("biography"):
        parts.append(_provenance(files.config["prompts"], files.biographies))
    return "\n\n".join(parts)


def is_prompted(config: dict[str, Any]) -> bool:
    """Return whether a `config.json` is of a prompted model."""
    return config.get("model_type") == PromptedEmoNetConfig.model_type


def adapter_fact(files: RunFiles) -> str:
    """Return rank and layers of the adapters, and where their weights are.

    It is empty if there were none.
    """
    training = {f"lora_{name}": value for name, value in files.adapter.items()} or files.run.get(
        "training", {}
    )
    rank = training.get("lora_rank")
    layers = str(training.get("lora_target_modules", "all-linear")).replace("all-linear", "all linear layers")
    whole = (
        "alone in this repository, which loads with its backbone"
        if files.adapter
        else "merged into its weights"
    )
    return f"LoRA of rank {rank} on {layers} of the backbone, {whole}" if rank else ""


def speaker_fact(config: dict[str, Any]) -> str:
    """Return how a prompted model knows who speaks."""
    prompts = config["prompts"]
    known = ["by number, names hidden" if prompts.get("anonymous") else "by name, as text"]
    known += ["with a biography"] if prompts.get("biography") else []
    known += ["with what they felt lately"] if prompts.get("trajectory") else []
    return ", ".join(known)


def _backbone_fact(config: dict[str, Any]) -> str:
    name, text = config.get("backbone") or "", config.get("text_config", {})
    known = EMBEDDED_BACKBONES.get(name)
    family = (
        f" ({text['model_type']}, {text.get('num_hidden_layers')} layers used)"
        if text.get("model_type")
        else ""
    )
    return f"{known.hub_id if known else name}{family}"


def _packed_fact(config: dict[str, Any]) -> str:
    layer = config.get("readout_layer")
    return "packed, one causal pass a dialogue" + (f", at layer {layer}" if layer else "")


def _prompt_fact(prompts: dict[str, Any]) -> str:
    held = [f"{prompts['window']} earlier turns"]
    if prompts.get("future_window"):
        held.append(f"{prompts['future_window']} later turns")
    if prompts.get("trajectory"):
        held.append(
            f"the speaker's last {prompts['trajectory']} turns with their emotions, "
            "as the model itself named them"
        )
    if prompts.get("biography"):
        whole = (
            ", written from the whole dialogue, later turns included"
            if prompts.get("biography_of_dialogue")
            else ""
        )
        held.append(f"the speaker's biography{whole}")
    if prompts.get("label_statement"):
        held.append("the labels once more")
    if prompts.get("demonstrations"):
        held.append(f"the most similar labelled turns of training ({prompts['demonstrations']})")
    return (
        f"prompted, one instruction prompt a turn with {', '.join(held)}; "
        "the answer is scored over the label words"
    )


def _first_stage_fact(stage: dict[str, Any] | None) -> str:
    if not stage:
        return ""
    if "annotator" not in stage:
        return f"{stage['task']}, from {stage['examples']:,} training examples"
    examples = f"{stage['examples']:,} examples"
    return f"{stage['task']}, as `{stage['annotator']}` wrote it of training turns ({examples})"


def _provenance(prompts: dict[str, Any], biographies: dict[str, Any]) -> str:
    writer, budget = prompts["biography_writer"], prompts["biography_budget"]
    by = "without a language model, from counts and phrases" if writer == EXTRACTIVE else f"by `{writer}`"
    unit = "words" if writer == EXTRACTIVE else "tokens"
    written = f"**Biographies** were written {by}, {budget} {unit} at most,"
    if prompts.get("biography_of_dialogue"):
        return (
            f"{written} from the whole dialogue that a turn stands in, later turns included, in training and "
            "evaluation; whoever uses the model has them written of their own dialogues by the same writer. "
            "The repository holds none."
        )
    parts = [
        f"{written} in training and evaluation from what the person had said before a turn's dialogue, in "
        "training turns and in its own split. `biographies.json` holds those that the model is used with, "
        "from training utterances alone, each with the keys of the utterances that it was made from. Without "
        "a person's entry the prompts tell nothing of them; what the weights have learnt from their turns "
        "stays."
    ]
    groups: Counter[tuple[str, str, str]] = Counter()
    utterances: Counter[tuple[str, str, str]] = Counter()
    for biography in biographies.values():
        group = biography["kind"], biography["model"], biography["prompt_digest"]
        groups[group] += 1
        utterances[group] += len(biography["utterances"])
    # A prompt to a language model differs from person to person, and so does its digest.
    if len(groups) > 3:
        kinds = Counter((kind, model) for kind, model, _ in groups.elements())
        total = {key: sum(utterances[group] for group in groups if group[:2] == key) for key in kinds}
        rows = [(*key, "one a person, in `biographies.json`", kinds[key], total[key]) for key in kinds]
    else:
        rows = [(*key, groups[key], utterances[key]) for key in groups]
    if rows:
        lines = [
            f"| {kind} | {model} | {digest} | {persons:,} | {count:,} |"
            for kind, model, digest, persons, count in rows
        ]
        header = "| kind | writer | prompt digest | persons | utterances |\n|---|---|---|---:|---:|"
        parts.append("\n".join([header, *lines]))
    return "\n\n".join(parts)
