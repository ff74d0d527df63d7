"""Train the heads of one frozen model from several seeds, in one process."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..constants import AUTO
from ..data.collator import fit_standardizers
from ..engines.auto_dtype import resolved_dtype
from ..fine_tuning.class_weights import class_weights
from ..fine_tuning.encoding import EncodedSplit
from ..hub.card_callback import CardCallback
from ..modeling_emonet import EmoNetForSequenceClassification
from ..train_trainer import EmoNetTrainer
from ..training.arguments import EmoNetTrainingArguments
from ..training.heads import needs_trainer, restart_heads, train_heads


def train_seeds(
    model: EmoNetForSequenceClassification,
    train: EncodedSplit,
    validation: EncodedSplit,
    training: Mapping[str, Any],
    seeds: Iterable[int],
    output_dir: str | Path = "emonet-run",
    use_trainer: bool = False,
    dtype: str = AUTO,
) -> Iterator[EmoNetTrainer]:
    """Train a frozen model's heads from each seed on windows with cached vectors.

    The corpus is encoded, and its vectors are computed, once; folds are subsets of it. A
    seed's result is that of a run of its own. Nothing is written.

    Args:
        model: A model with its processor and a frozen backbone. Its heads start anew for
            each seed.
        train: The training windows, of `EncodedCorpus.cache_features`; the standardizers
            and class weights are fitted to them.
        validation: The windows that choose the epoch.
        training: Fields of `EmoNetTrainingArguments`, such as a preset's `training`.
        seeds: The seeds.
        output_dir: The Trainer's folder, which callbacks may write to.
        use_trainer: As in [`TrainOptions`].
        dtype: One of `DTYPES`; see [`train_heads`].

    Yields:
        The trainer of each seed, in order. All share `model`, so use it before the next:
        `predict_logits(model, model.processor, split.windows, split.collator.memory)`
        gives the logits (log-probabilities plus the class bias) of any windows.

    Example:
        >>> corpus = EncodedCorpus(conversations, model.processor)
        >>> corpus.cache_features(model)
        >>> every = corpus["train"]
        >>> train, validation, test = (every.subset(part) for part in fold)
        >>> for trainer in train_seeds(model, train, validation, training, range(10)):
        ...     memory = corpus.collator.memory
        ...     logits = predict_logits(model, model.processor, test.windows, memory)
    """
    fit_standardizers(model, train)
    scheme = training.get("class_weighting", "none")
    model.config.class_weights = class_weights(train.labels(), len(model.config.label_names), scheme)
    for window in train.examples:
        window.pop("fold", None)  # of another training on these windows
    for seed in seeds:
        restart_heads(model, seed)
        options = {"report_to": "none", "disable_tqdm": True, **training, "seed": seed}
        trainer = EmoNetTrainer(
            model=model,
            args=EmoNetTrainingArguments(output_dir=str(output_dir), **options),
            train_dataset=train,
            eval_dataset=validation,
            data_collator=train.collator,
            processing_class=model.processor,
        )
        trainer.remove_callback(CardCallback)
        if use_trainer or needs_trainer(trainer):
            trainer.train()
        else:
            train_heads(trainer, resolved_dtype(dtype, model.device))
        yield trainer
