"""The published CoMPM code's weights on EmoNet: `preset compm` is that model, weight for
weight.

    >>> config = EmoNetConfig(text_config=roberta_config, **preset_config("compm", is_decoder=False, num_layers=24))
    >>> model = EmoNetForSequenceClassification(config)
    >>> model.load_state_dict(convert_state_dict(torch.load("model.bin", weights_only=True)))

The published code adds `<s1>` … `<s9>` to the tokenizer; do so with
`tokenizer.add_special_tokens` and give the backbone's config the checkpoint's
`vocab_size`. It passes no attention mask, so its own memory reads padding where earlier
utterances differ in length; EmoNet masks it, and equals the computation on unpadded
utterances.
"""

from collections.abc import Mapping

import torch

from ..errors import EmoNetError

_PREFIXES = {
    "context_model.": "emonet.encoder.",
    "speaker_model.": "emonet.memory_encoder.",
    "speakerGRU.": "emonet.memory.gru.",
    "W.": "classifier.1.",
}
# Not used in the published forward pass: the encoders' poolers, stored position ids and
# the projection left out of it.
_UNUSED = (".pooler.", ".position_ids", ".token_type_ids")
_UNUSED_PREFIXES = ("SC.", "W_p.")


def convert_state_dict(published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A published CoMPM state dict (`context_model.*`, `speaker_model.*`, `speakerGRU.*`,
    `W.*`) under EmoNet's names.

    Raises:
        EmoNetError: for a key that belongs to none of the published parts, or a part that
            is missing.
    """
    converted = {}
    for key, tensor in published.items():
        name = key.removeprefix("module.")
        if any(part in name for part in _UNUSED) or name.startswith(_UNUSED_PREFIXES):
            continue
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            raise EmoNetError(
                f"{key!r} is no key of a CoMPM checkpoint; its parts are {', '.join(_PREFIXES)}."
            )
        converted[_PREFIXES[prefix] + name.removeprefix(prefix)] = tensor
    for prefix, target in _PREFIXES.items():
        if not any(name.startswith(target) for name in converted):
            raise EmoNetError(
                f"The checkpoint has no {prefix}* weights: it is not a complete CoMPM state dict."
            )
    return converted
