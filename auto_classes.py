"""Makes the package known to transformers' Auto classes and `pipeline()`.

Both wait for each other: transformers imports those, and PyTorch, only when asked, and `import emonet` stays as light. The
first import of one of transformers' modules brings the package's module along, and that one's import registers its classes.
"""

from functools import partial
from importlib import import_module
from types import ModuleType

import wrapt


def register_when_imported() -> None:
    """Sets the hooks; what is already imported is registered at once."""
    for theirs, ours, register in (
        ("transformers.models.auto.configuration_auto", "emonet.configuration_emonet", _register_config),
        ("transformers.models.auto.modeling_auto", "emonet.modeling_emonet", _register_models),
        ("transformers.models.auto.processing_auto", "emonet.processing_emonet", _register_processor),
        ("transformers.pipelines", "emonet.pipeline_emonet", _register_pipeline),
    ):
        wrapt.register_post_import_hook(register, ours)
        wrapt.register_post_import_hook(partial(_import, ours), theirs)


def _import(name: str, _: ModuleType) -> None:
    import_module(name)


def _register_config(ours: ModuleType) -> None:
    from transformers import AutoConfig

    ours.EmoNetConfig.pipeline_is_registered = True
    AutoConfig.register(ours.EmoNetConfig.model_type, ours.EmoNetConfig, exist_ok=True)


def _register_models(ours: ModuleType) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    for auto_class in (AutoModel, AutoModelForSequenceClassification):
        auto_class.register(ours.EmoNetConfig, ours.EmoNetForSequenceClassification, exist_ok=True)


def _register_processor(ours: ModuleType) -> None:
    from transformers import AutoProcessor

    AutoProcessor.register(ours.EmoNetConfig, ours.EmoNetProcessor, exist_ok=True)


def _register_pipeline(ours: ModuleType) -> None:
    from transformers import AutoModelForSequenceClassification
    from transformers.pipelines import PIPELINE_REGISTRY

    PIPELINE_REGISTRY.register_pipeline(ours.TASK, ours.EmoNetPipeline, pt_model=AutoModelForSequenceClassification)
