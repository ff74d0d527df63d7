"""emonet: emotion recognition in conversation on the Hugging Face stack.

The root imports by absolute names, because test runners load this file on its own,
outside a package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emonet.auto_classes import register_when_imported
from emonet.constants import PACKAGE_VERSION as __version__

if TYPE_CHECKING:
    from emonet.configuration_emonet import EmoNetConfig
    from emonet.data import load_conversations
    from emonet.data.collator import EncodedCorpus
    from emonet.inference.predict import predict_dialogues
    from emonet.inference.session import EmoNetSession
    from emonet.modeling_emonet import EmoNetForSequenceClassification, EmoNetModel
    from emonet.pipeline_emonet import EmoNetPipeline
    from emonet.processing_emonet import EmoNetProcessor
    from emonet.prompted.modeling import PromptedEmoNet
    from emonet.prompted.session import PromptedSession
    from emonet.runs.evaluate import evaluate_run
    from emonet.runs.train import train_run
    from emonet.train_trainer import EmoNetTrainer, EmoNetTrainingArguments

register_when_imported()

# Imported on first use: each needs PyTorch, and some need datasets or the Trainer.
_LAZY = {
    "EmoNetConfig": "emonet.configuration_emonet",
    "EmoNetForSequenceClassification": "emonet.modeling_emonet",
    "EmoNetModel": "emonet.modeling_emonet",
    "EmoNetPipeline": "emonet.pipeline_emonet",
    "EmoNetProcessor": "emonet.processing_emonet",
    "EmoNetSession": "emonet.inference.session",
    "EmoNetTrainer": "emonet.train_trainer",
    "EmoNetTrainingArguments": "emonet.train_trainer",
    "EncodedCorpus": "emonet.data.collator",
    "PromptedEmoNet": "emonet.prompted.modeling",
    "PromptedSession": "emonet.prompted.session",
    "evaluate_run": "emonet.runs.evaluate",
    "load_conversations": "emonet.data",
    "predict_dialogues": "emonet.inference.predict",
    "train_run": "emonet.runs.train",
}

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
    "PromptedEmoNet",
    "PromptedSession",
    "__version__",
    "evaluate_run",
    "load_conversations",
    "predict_dialogues",
    "train_run",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'emonet' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
