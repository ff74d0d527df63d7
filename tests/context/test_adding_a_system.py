"""The example of docs/adding_a_system.md: one file and one line."""

import ast
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import DIALOGUE, build, logits

from emonet.context.base import CONTEXT_MODULES, SYSTEMS
from emonet.inference.session import EmoNetSession

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_system.md"


@pytest.fixture
def example() -> Iterator[str]:
    """The page's file as a module of the package, and its line."""
    source, line = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    ((name, file),) = ast.literal_eval(f"{{{line}}}").items()
    module = types.ModuleType(f"emonet.context.{file}")
    module.__package__ = "emonet.context"
    sys.modules[module.__name__] = module
    exec(source, module.__dict__)
    SYSTEMS[name] = file
    yield name
    del sys.modules[module.__name__], CONTEXT_MODULES[name], SYSTEMS[name]


def test_example_trains_is_causal_and_streams(example: str, tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet-fast", context_module=example)
    whole = logits(model, processor, DIALOGUE)[0]
    changed = logits(model, processor, [*DIALOGUE[:-1], {"speaker": "Zed", "text": "leave"}])[0]
    assert torch.allclose(whole[:-1], changed[:-1], atol=1e-6) and not torch.allclose(
        whole[-1], changed[-1], atol=1e-4
    )
    session = EmoNetSession(model, processor)
    streamed = [session.add(turn["speaker"], turn["text"])["score"] for turn in DIALOGUE]
    assert streamed == pytest.approx(whole.softmax(-1).max(-1).values.tolist(), abs=1e-5)
    model.train()
    model(**processor([DIALOGUE])).loss.backward()
    assert model.emonet.context.merge.weight.grad.abs().sum() > 0
