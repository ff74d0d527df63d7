"""emonet: emotion recognition in conversation on the Hugging Face stack.

The root imports by absolute names: test runners load this file on its own, without a package around it.
"""

from typing import Any

from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor
from transformers.pipelines import PIPELINE_REGISTRY

from emonet.configuration_emonet import PACKAGE_VERSION as __version__
from emonet.configuration_emonet import EmoNetConfig
from emonet.modeling_emonet import EmoNetForSequenceClassification, EmoNetModel
from emonet.pipeline_emonet import TASK, EmoNetPipeline
from emonet.processing_emonet import EmoNetProcessor

AutoConfig.register("emonet", EmoNetConfig, exist_ok=True)
AutoModel.register(EmoNetConfig, EmoNetForSequenceClassification, exist_ok=True)
AutoModelForSequenceClassification.register(EmoNetConfig, EmoNetForSequenceClassification, exist_ok=True)
AutoProcessor.register(EmoNetConfig, EmoNetProcessor, exist_ok=True)
PIPELINE_REGISTRY.register_pipeline(TASK, EmoNetPipeline, pt_model=AutoModelForSequenceClassification)
EmoNetConfig.pipeline_is_registered = True

# Loaded when first asked for: they pull in datasets and the Trainer.
_LAZY = {
    "EmoNetSession": "emonet.streaming",
    "EmoNetTrainer": "emonet.train_trainer",
    "EmoNetTrainingArguments": "emonet.train_trainer",
    "EncodedCorpus": "emonet.data.collator",
    "load_conversations": "emonet.data",
    "predict_dialogues": "emonet.inference",
    "train_run": "emonet.runs",
    "evaluate_run": "emonet.runs",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'emonet' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


__all__ = [
    "EmoNetConfig",
    "EmoNetForSequenceClassification",
    "EmoNetModel",
    "EmoNetPipeline",
    "EmoNetProcessor",
    "EmoNetSession",
    "EmoNetTrainer",
    "EmoNetTrainingArguments",
    "EncodedCorpus",
    "__version__",
    "evaluate_run",
    "load_conversations",
    "predict_dialogues",
    "train_run",
]
