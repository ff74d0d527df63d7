"""Register the package with transformers' Auto classes and `pipeline()`.

Registration waits until transformers' modules are imported: they bring PyTorch, and
`import emonet` stays light without it. Their first import imports the package's modules,
whose import registers their classes.
"""

from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import wrapt


def register_when_imported() -> None:
    """Set the import hooks; modules that are already imported are registered at once."""
    auto = "transformers.models.auto"
    for before, ours, register in (
        (f"{auto}.configuration_auto", "emonet.configuration_emonet", partial(_config, "EmoNetConfig")),
        (
            f"{auto}.modeling_auto",
            "emonet.modeling_emonet",
            partial(_model, "EmoNetForSequenceClassification"),
        ),
        (f"{auto}.processing_auto", "emonet.processing_emonet", partial(_processor, "EmoNetProcessor")),
        (f"{auto}.processing_auto", "emonet.prompted.processing", partial(_processor, "PromptedProcessor")),
        ("transformers.pipelines", "emonet.pipeline_emonet", _pipeline),
        # The prompted modules build on emonet's own, whose import may have started first.
        (
            "emonet.configuration_emonet",
            "emonet.prompted.configuration",
            partial(_config, "PromptedEmoNetConfig"),
        ),
        ("emonet.modeling_emonet", "emonet.prompted.modeling", partial(_model, "PromptedEmoNet")),
    ):
        wrapt.register_post_import_hook(register, ours)
        wrapt.register_post_import_hook(partial(_import, ours), before)
    for module, owner, path_of in (
        ("configuration_auto", "AutoConfig", "built_in_path"),
        ("auto_factory", "_BaseAutoModelClass", "built_in_path"),
        ("processing_auto", "AutoProcessor", "built_in_path"),
        ("tokenization_auto", "AutoTokenizer", "tokenizer_path"),
    ):
        take_names = partial(_take_names, f"{owner}.from_pretrained", path_of)
        wrapt.register_post_import_hook(take_names, f"{auto}.{module}")
    wrapt.register_post_import_hook(_package_functions, "emonet.checkpoint.files")
    wrapt.register_post_import_hook(_whole_pushes, "transformers.trainer")


def _import(name: str, _: ModuleType) -> None:
    import_module(name)


def _package_functions(files: ModuleType) -> None:
    """Give checkpoints the functions that only the package has, imported on use."""
    for name, module in (
        ("resolve_backbone", "emonet.backbones.embedded"),
        ("backbone_name", "emonet.backbones.embedded"),
        ("hub_id", "emonet.backbones.embedded"),
        ("built_in_path", "emonet.pretrained.models"),
        ("is_built_in", "emonet.pretrained.models"),
        ("introduction", "emonet.pretrained.models"),
        ("flat_code", "emonet.checkpoint.flatten"),
        ("write_companions", "emonet.hub.export"),
        ("dialogue_biographer", "emonet.speakers.biographies.choose"),
    ):
        setattr(files.package, name, partial(_call, module, name))
    files.package.utterance_embedder = partial(_call, "emonet.inference.embedding", "UtteranceEmbedder")


def _call(module: str, name: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(import_module(module), name)(*args, **kwargs)


def _config(name: str, ours: ModuleType) -> None:
    from transformers import AutoConfig

    config = getattr(ours, name)
    config.pipeline_is_registered = True
    AutoConfig.register(config.model_type, config, exist_ok=True)


def _model(name: str, ours: ModuleType) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    model = getattr(ours, name)
    for auto_class in (AutoModel, AutoModelForSequenceClassification):
        auto_class.register(model.config_class, model, exist_ok=True)


def _processor(name: str, ours: ModuleType) -> None:
    from transformers import AutoProcessor

    processor = getattr(ours, name)
    AutoProcessor.register(processor.config_class, processor, exist_ok=True)  # type: ignore[no-untyped-call]


def _pipeline(ours: ModuleType) -> None:
    from transformers import AutoModelForSequenceClassification
    from transformers.pipelines import PIPELINE_REGISTRY

    from emonet.pretrained.models import DEFAULT, MODELS

    # transformers would look for a built-in model's name on the Hub.
    wrapt.wrap_function_wrapper("transformers.pipelines", "pipeline", _by_name)
    PIPELINE_REGISTRY.register_pipeline(
        ours.TASK,
        ours.EmoNetPipeline,
        pt_model=AutoModelForSequenceClassification,
        default={"model": (str(MODELS[DEFAULT].folder), "main")},
    )


def _take_names(from_pretrained: str, path_of: str, module: ModuleType) -> None:
    """Let an Auto class load a built-in model by name, which is no id on the Hub."""

    def load_by_name(load: Any, _: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        path = partial(_call, "emonet.pretrained.models", path_of)
        first = "pretrained_model_name_or_path"
        if arguments and isinstance(arguments[0], str):
            arguments = (path(arguments[0]), *arguments[1:])
        elif isinstance(options.get(first), str):
            options[first] = path(options[first])
        return load(*arguments, **options)

    wrapt.wrap_function_wrapper(module, from_pretrained, load_by_name)


def _whole_pushes(trainer: ModuleType) -> None:
    """Let the plain Trainer push whole repositories of ours.

    It would write a card of its own, and upload weights without code during a training.
    """
    wrapt.wrap_function_wrapper("transformers.trainer", "Trainer.create_model_card", _keep_card)
    wrapt.wrap_function_wrapper("transformers.trainer", "Trainer._push_from_checkpoint", _push_whole)


def _trains_emonet(trainer: Any) -> bool:
    from emonet.checkpoint.base import EmoNetCheckpoint

    return isinstance(trainer.accelerator.unwrap_model(trainer.model), EmoNetCheckpoint)


def _keep_card(create: Any, trainer: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    from emonet.hub.card import write_card

    if not _trains_emonet(trainer):
        create(*arguments, **options)
    elif trainer.is_world_process_zero():
        write_card(trainer.args.output_dir, trainer.hub_model_id)


def _push_whole(push: Any, trainer: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    from emonet.hub.push import copy_published

    if _trains_emonet(trainer) and trainer.is_world_process_zero():
        (checkpoint,) = (*arguments, *options.values())
        copy_published(checkpoint, trainer.args.output_dir)
    push(*arguments, **options)


def _by_name(pipeline: Any, _: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `pipeline(task, model)` with the folder of a built-in model for its name."""
    from emonet.pretrained.models import built_in_path

    task, model, *others = [*arguments, None, None][: max(2, len(arguments))]
    if isinstance(model, str):
        return pipeline(task, built_in_path(model), *others, **options)
    if isinstance(options.get("model"), str):
        options["model"] = built_in_path(options["model"])
    return pipeline(*arguments, **options)
