"""Convert published CoMPM weights (Lee & Lee 2022) to the `compm` preset.

    >>> fields = preset_config("compm", is_decoder=False, num_layers=24)
    >>> config = EmoNetConfig(text_config=roberta, **fields)
    >>> model = EmoNetForSequenceClassification(config)
    >>> published = torch.load("model.bin", weights_only=True)
    >>> model.load_state_dict(convert_state_dict(published))

The published code adds `<s1>` … `<s9>` to the tokenizer: do the same with
`tokenizer.add_special_tokens`, and give the backbone's config the `vocab_size` of the
checkpoint. It passes no attention mask, so its memory reads padding where earlier
utterances differ in length. EmoNet masks the padding; its logits are those of the
published code on unpadded utterances.
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
# Weights that the published forward pass does not use.
_UNUSED = (".pooler.", ".position_ids", ".token_type_ids")
_UNUSED_PREFIXES = ("SC.", "W_p.")


def convert_state_dict(published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename the weights of a published CoMPM checkpoint to EmoNet's names.

    Args:
        published: Keys `context_model.*`, `speaker_model.*`, `speakerGRU.*` and `W.*`.

    Raises:
        EmoNetError: for an unknown key, or a missing part.
    """
    converted = {}
    for key, tensor in published.items():
        name = key.removeprefix("module.")
        if any(part in name for part in _UNUSED) or name.startswith(_UNUSED_PREFIXES):
            continue
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            raise EmoNetError(
                f"{key!r} is not a key of a CoMPM checkpoint; its parts are {', '.join(_PREFIXES)}."
            )
        converted[_PREFIXES[prefix] + name.removeprefix(prefix)] = tensor
    for prefix, target in _PREFIXES.items():
        if not any(name.startswith(target) for name in converted):
            raise EmoNetError(
                f"The checkpoint has no {prefix}* weights: it is not a complete CoMPM state dict."
            )
    return converted
