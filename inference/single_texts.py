"""Read the rows of a plain tokenizer, as text-classification pipelines make them.

Each row is one turn of an unknown speaker. Training has seen such turns with the markers
of the processor, not with the tokenizer's own special tokens: a row is written anew, so
that its scores are those of `model.predict(text)`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from ..dialogue.reading import UNKNOWN
from ..errors import EmoNetError
from ..processing_emonet import EmoNetProcessor

_DIALOGUE = "for a dialogue call model.predict(dialogue), or model(**model.processor([dialogue]))"
_OPTIONS = ("num_items_in_batch", "output_attentions", "output_hidden_states")


class TextModel(Protocol):
    """What is needed of an EmoNet, whose file imports this one."""

    config: Any
    training: bool

    @property
    def processor(self) -> EmoNetProcessor:
        """The processor that the model was saved with."""
        ...

    def __call__(self, **batch: Any) -> Any:
        """Return an output with `turn_states` (N, 1, H), `logits` (N, 1, C) or both."""
        ...


def single_turns(
    processor: EmoNetProcessor,
    input_ids: torch.Tensor | None = None,
    attention_mask: torch.Tensor | None = None,
    token_type_ids: torch.Tensor | None = None,
    **others: Any,
) -> dict[str, torch.Tensor]:
    """Turn rows of tokens into the inputs of `EmoNetModel.forward`: N dialogues.

    Args:
        processor: The model's processor.
        input_ids: (N, L), as the tokenizer makes them, padded on either side.
        attention_mask: (N, L) 1 for tokens; by default all that is no padding.
        token_type_ids: (N, L) where the tokenizer makes them.
        others: Inputs that only a processor makes are refused.

    Raises:
        EmoNetError: for pairs of texts, or inputs of a processor without `speaker_ids`.
    """
    given = sorted(name for name, value in others.items() if isinstance(value, torch.Tensor))
    if input_ids is None or input_ids.dim() != 2 or given:
        raise EmoNetError(
            f"speaker_ids is missing{' beside ' + ', '.join(given) if given else ''}: pass all that the "
            f"processor returns; {_DIALOGUE}. For single texts pass what the tokenizer returns: input_ids "
            "(N, L) and attention_mask."
        )
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    if mask.shape != input_ids.shape:
        raise EmoNetError(
            f"attention_mask {tuple(mask.shape)} and input_ids {tuple(input_ids.shape)} must have one shape."
        )
    known_single = token_type_ids is not None and not ((token_type_ids == 1) & mask.bool()).any()
    examples: list[dict[str, Any]] = []
    for index, (row, kept) in enumerate(zip(input_ids.tolist(), mask.tolist(), strict=True)):
        ids = [token for token, keep in zip(row, kept, strict=True) if keep]
        text = _text(processor.tokenizer, ids, index, known_single)
        examples += processor.encode([{"speaker": UNKNOWN, "speaker_id": 0, "text": text}])
    batch: dict[str, torch.Tensor] = processor.collate(examples)
    del batch["labels"]
    return {name: tensor.to(input_ids.device) for name, tensor in batch.items()}


def _text(tokenizer: Any, ids: Sequence[int], index: int, known_single: bool) -> str:
    """Decode a row without the special tokens around its text."""
    names = ("cls_token_id", "bos_token_id", "sep_token_id", "eos_token_id")
    around = {getattr(tokenizer, name) for name in names} - {None}
    inner = [position for position, token in enumerate(ids) if token not in {*around, tokenizer.pad_token_id}]
    content = list(ids[inner[0] : inner[-1] + 1]) if inner else []
    if not known_single and around & set(content):
        raise EmoNetError(
            f"Row {index} holds a pair of texts; two texts are two turns of a dialogue: {_DIALOGUE}."
        )
    text: str = tokenizer.decode(content, clean_up_tokenization_spaces=False)
    return text


def classify_texts(model: TextModel, labels: torch.Tensor | None, inputs: dict[str, Any]) -> Any:
    """Call a model with rows of a plain tokenizer; see `single_turns`.

    Args:
        model: An EmoNet with a processor, with or without its classifier.
        labels: (N,), or None.
        inputs: The tokenizer's tensors, and options of `forward`.

    Returns:
        Its output without the dimension of turns: logits (N, C), turn_states (N, H). In
        evaluation the logits are divided by the calibration temperature: pipelines take
        their softmax, which then is the score of `predict`.
    """
    options = {name: inputs[name] for name in _OPTIONS if inputs.get(name) is not None}
    tensors = {name: tensor for name, tensor in inputs.items() if name not in _OPTIONS}
    batch = single_turns(model.processor, **tensors)
    labels = None if labels is None else labels.reshape(-1, 1)
    outputs = model(**batch, **options, labels=labels, return_dict=True)
    for name in ("logits", "turn_states", "member_logits", "auxiliary_losses"):
        if outputs.get(name) is not None:
            setattr(outputs, name, outputs[name].squeeze(1))
    if outputs.logits is not None and not model.training:
        outputs.logits = outputs.logits / model.config.calibration_temperature
    return outputs
