"""Under autocast, attention is float32 where that is faster, and learns the same."""

from typing import Any

import pytest
import torch
from tiny_training import encoded

from emonet.engines import attention
from emonet.engines.attention import fastest_attention

CPU = torch.device("cpu")


def gradients(model: Any, batch: dict[str, torch.Tensor], autocast: bool) -> dict[str, torch.Tensor]:
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        model(**batch).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("is_faster", [True, False])
def test_gradients_are_near_those_of_float32(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, is_faster: bool
) -> None:
    monkeypatch.setattr(attention, "_is_faster", lambda: is_faster)
    model, _, split, collator = encoded(tokenizer)
    batch, encoder, dtypes = collator(split.examples), model.emonet.encoder, []
    own = torch.nn.functional.scaled_dot_product_attention

    def noted(query: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        result = own(query, *args, **options)
        dtypes.append(result.dtype)
        return result

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noted)
    expected = gradients(model, batch, False)
    dtypes.clear()
    with fastest_attention([encoder], CPU):
        found = gradients(model, batch, True)
    assert set(dtypes) == {torch.float32 if is_faster else torch.bfloat16}
    assert encoder.config._attn_implementation == "sdpa" and found.keys() == expected.keys()
    whole, half = (torch.cat([g.flatten() for g in grads.values()]) for grads in (expected, found))
    assert 0 < (whole - half).norm() < 0.03 * whole.norm()


def test_other_devices_and_attentions_stay(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_is_faster", lambda: True)
    encoder = encoded(tokenizer)[0].emonet.encoder
    with fastest_attention([encoder], torch.device("cuda")):
        assert encoder.config._attn_implementation == "sdpa"
    encoder.config._attn_implementation = "eager"
    with fastest_attention([encoder], CPU):
        assert encoder.config._attn_implementation == "eager"
