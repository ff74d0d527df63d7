"""Training with adapters: checkpoints that resume, and the head's start on the frozen backbone."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import Trainer

from .lora import ADAPTER_WEIGHTS, LoraSettings, add_adapters, has_adapters, load_trained_state, trained_state


class AdapterCheckpoints(Trainer):
    """Keeps the adapters beside the merged weights of every checkpoint: the weights are a whole model, training goes on from
    the adapters."""

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        super()._save(output_dir, state_dict)
        model = self.accelerator.unwrap_model(self.model)
        if self.args.should_save and has_adapters(model):
            save_file(trained_state(model), Path(output_dir or str(self.args.output_dir), ADAPTER_WEIGHTS))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self._put_back(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        if not self._put_back(str(self.state.best_model_checkpoint)):
            super()._load_best_model()

    def _put_back(self, checkpoint: str) -> bool:
        model = self.accelerator.unwrap_model(self.model)
        if not has_adapters(model):
            return False
        load_trained_state(model, load_file(Path(checkpoint, ADAPTER_WEIGHTS)), checkpoint)
        return True


def start_on_frozen(
    model: Any,
    corpus: Any,
    arguments: Any,
    head_arguments: Any,
    cache_dir: Path | None = None,
    progress: bool = True,
) -> None:
    """What comes before training with adapters: standardiser and head from the frozen backbone, then the adapters.

    A new head's gradients would first pull the adapters about; a head that has learnt what the frozen read-outs hold starts them
    where `emonet-fast` ends. Its features are cached, so this costs one pass over the corpus, once.

    Args:
        corpus: An `EncodedCorpus` with train and validation. arguments: `EmoNetTrainingArguments` with `lora_rank`.
        head_arguments: The head's own training; `num_train_epochs` is `arguments.head_epochs`.
    """
    from ..train_trainer import EmoNetTrainer

    if model.config.standardize or arguments.head_epochs:
        corpus.attach_turn_features(model, cache_dir, progress)
        corpus.fit_standardizers(model)
    if arguments.head_epochs:
        model.emonet.encoder.requires_grad_(False)
        EmoNetTrainer(
            model=model,
            args=head_arguments,
            train_dataset=corpus["train"],
            eval_dataset=corpus["validation"],
            data_collator=corpus.collator,
            processing_class=corpus.processor,
        ).train()
    corpus.drop_turn_features()
    add_adapters(model, LoraSettings.of(arguments))
