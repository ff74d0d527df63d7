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
    wrapt.register_post_import_hook(_package_functions, "emonet.checkpoint.files")


def _import(name: str, _: ModuleType) -> None:
    import_module(name)


def _package_functions(files: ModuleType) -> None:
    """Give checkpoints the functions that only the package has, imported on use."""
    for name, module in (
        ("resolve_backbone", "emonet.backbones.embedded"),
        ("backbone_name", "emonet.backbones.embedded"),
        ("hub_id", "emonet.backbones.embedded"),
        ("built_in_path", "emonet.pretrained.models"),
        ("introduction", "emonet.pretrained.models"),
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

    from emonet.pretrained.models import DEFAULT, built_in_path

    PIPELINE_REGISTRY.register_pipeline(
        ours.TASK,
        ours.EmoNetPipeline,
        pt_model=AutoModelForSequenceClassification,
        default={"model": (built_in_path(DEFAULT), "main")},
    )
