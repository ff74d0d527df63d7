"""Load weights in 4 bits with bitsandbytes (Dettmers et al. 2023, QLoRA)."""

from typing import Any

import torch

from ..checkpoint.adapters import AdaptableModel, learnt_state
from ..errors import EmoNetError
from .lora import add_adapters, load_trained_state


def four_bits() -> dict[str, Any]:
    """Return the options of `from_pretrained` for 4-bit linear layers; heads stay whole.

    Raises:
        EmoNetError: If bitsandbytes is not installed or does not run on this machine.
    """
    try:
        import bitsandbytes as bnb

        # Try it: the import succeeds on machines where none of its kernels runs.
        packed, state = bnb.functional.quantize_4bit(torch.ones(64, 64, device=_device()), quant_type="nf4")
        bnb.functional.dequantize_4bit(packed, state)
    except ModuleNotFoundError as error:
        raise EmoNetError(
            "4-bit weights need bitsandbytes: pip install 'emonet[4bit]', or leave --load-in-4bit out."
        ) from error
    except (RuntimeError, NotImplementedError, AttributeError, OSError) as error:
        raise EmoNetError(
            f"bitsandbytes does not run here ({' '.join(str(error).split())[:200]}): "
            "leave --load-in-4bit out."
        ) from error
    from transformers import BitsAndBytesConfig

    dtype = torch.bfloat16 if torch.accelerator.is_available() else torch.float32
    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=["lm_head", "classifier", "context", "memory", "standardizer"],
    )
    return {"quantization_config": config, "dtype": dtype}


def on_whole_weights(model: AdaptableModel, backbone: str) -> Any:
    """Move adapters from 4-bit to full weights, where they can be merged.

    Args:
        model: The model with adapters.
        backbone: A Hub id, a folder or an embedded backbone.
    """
    adapters = model.adapted.emonet_adapters
    whole = type(model).on_backbone(backbone, model.config)
    whole.processor = model.processor
    add_adapters(whole, adapters.settings)
    load_trained_state(whole, learnt_state(model), backbone)
    return whole.eval()


def _device() -> str:
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return "cpu" if accelerator is None else accelerator.type
