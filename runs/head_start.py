"""The start of a training with adapters: the head learns from the frozen backbone first."""

from typing import Any

from ..adapters.lora import LoraSettings, add_adapters
from ..data.collator import EncodedCorpus
from ..train_trainer import EmoNetTrainer
from ..training.arguments import EmoNetTrainingArguments
from ..training.presets import preset_training
from .options import TrainOptions


def start_on_frozen(
    model: Any,
    corpus: EncodedCorpus,
    options: TrainOptions,
    arguments: EmoNetTrainingArguments,
) -> None:
    """Fit standardiser and head to the frozen backbone's read-outs, then put the adapters
    on, in place.

    A new head's gradients would first pull the adapters about; a head that has learnt
    what the frozen read-outs hold starts them where `emonet-fast` ends. Its features are
    cached, so this costs one pass over the corpus, once.

    Args:
        corpus: With train and validation.
        arguments: Of the training that follows, with `lora_rank`; the head learns for
            `head_epochs`.
    """
    if model.config.standardize or arguments.head_epochs:
        corpus.attach_turn_features(model, options.cache_dir, options.progress)
        corpus.fit_standardizers(model)
    if arguments.head_epochs:
        training = {
            **preset_training("emonet-fast", model.config.is_decoder_backbone),
            "class_weighting": arguments.class_weighting,
            "num_train_epochs": arguments.head_epochs,
        }
        model.emonet.encoder.requires_grad_(False)
        EmoNetTrainer(
            model=model,
            args=options.training_arguments(training),
            train_dataset=corpus["train"],
            eval_dataset=corpus["validation"],
            data_collator=corpus.collator,
            processing_class=corpus.processor,
        ).train()
    corpus.drop_turn_features()
    add_adapters(model, LoraSettings.of(arguments))
