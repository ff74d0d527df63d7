"""Weights in 4 bits (Dettmers et al. 2023, QLoRA): less memory for a large language
model, where bitsandbytes runs.
"""

from typing import Any

import torch

from ..errors import EmoNetError
from .lora import add_adapters, load_trained_state, trained_state


def four_bits() -> dict[str, Any]:
    """Options of `from_pretrained` that keep linear layers in 4 bits; heads stay as they
    are.

    Raises:
        EmoNetError: where bitsandbytes is not installed or does not run on this machine.
    """
    try:
        import bitsandbytes as bnb

        # What is asked of it, once: it imports on machines where no kernel of it runs.
        packed, state = bnb.functional.quantize_4bit(torch.ones(64, 64, device=_device()), quant_type="nf4")
        bnb.functional.dequantize_4bit(packed, state)
    except ModuleNotFoundError as error:
        raise EmoNetError(
            "4-bit weights need bitsandbytes: pip install 'emonet[4bit]', or leave --load-in-4bit out."
        ) from error
    except (RuntimeError, NotImplementedError, AttributeError, OSError) as error:
        raise EmoNetError(
            f"bitsandbytes does not run here ({' '.join(str(error).split())[:200]}): leave --load-in-4bit out."
        ) from error
    from transformers import BitsAndBytesConfig

    dtype = torch.bfloat16 if torch.accelerator.is_available() else torch.float32
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=["lm_head", "classifier", "context", "memory", "standardizer"],
    )
    return {"quantization_config": config, "dtype": dtype}


def on_whole_weights(model: Any, backbone: str) -> Any:
    """A model with adapters on 4-bit weights → the same adapters on the whole weights of
    its backbone, which can be merged.
    """
    adapters = model.adapted.emonet_adapters
    whole = type(model).on_backbone(backbone, model.config)
    whole.processor = model.processor
    add_adapters(whole, adapters.settings)
    load_trained_state(whole, trained_state(model), backbone)
    return whole.eval()


def _device() -> str:
    return torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"  # type: ignore[union-attr]
