"""Train the head on the frozen backbone before adapters are added."""

from ..adapters.lora import LoraSettings, add_adapters
from ..data.collator import EncodedCorpus
from ..engines.auto_dtype import resolved_dtype
from ..modeling_emonet import EmoNetForSequenceClassification
from ..train_trainer import EmoNetTrainer
from ..training.arguments import EmoNetTrainingArguments
from ..training.heads import needs_trainer, train_heads
from ..training.presets import preset_training
from .options import TrainOptions


def start_on_frozen(
    model: EmoNetForSequenceClassification,
    corpus: EncodedCorpus,
    options: TrainOptions,
    arguments: EmoNetTrainingArguments,
) -> None:
    """Fit standardizer and head to the frozen backbone, then add adapters, in place.

    The gradients of a random head would disturb the adapters. A head trained on the
    frozen features starts them where `emonet-fast` ends. The features are cached, so this
    costs one pass over the corpus, once.

    Args:
        model: The model, without adapters.
        corpus: The encoded train and validation splits.
        options: The options of the run.
        arguments: Arguments of the training that follows, with `lora_rank`; the head
            trains for `head_epochs`.
    """
    if model.config.standardize or arguments.head_epochs:
        corpus.attach_turn_features(model, options.cache_dir, options.progress, options.dtype)
        corpus.fit_standardizers(model)
    if arguments.head_epochs:
        training = {
            **preset_training("emonet-fast", model.config.is_decoder_backbone),
            "class_weighting": arguments.class_weighting,
            "num_train_epochs": arguments.head_epochs,
        }
        model.emonet.encoder.requires_grad_(False)
        trainer = EmoNetTrainer(
            model=model,
            args=options.training_arguments(training),
            train_dataset=corpus["train"],
            eval_dataset=corpus["validation"],
            data_collator=corpus.collator,
            processing_class=corpus.processor,
        )
        if options.use_trainer or needs_trainer(trainer):
            trainer.train()
        else:
            train_heads(trainer, resolved_dtype(options.dtype, model.device))
    corpus.drop_turn_features()
    add_adapters(model, LoraSettings.of(arguments))
