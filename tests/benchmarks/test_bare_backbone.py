"""The bare backbone encodes the tokens of a prediction, no more and no fewer."""

from pathlib import Path
from typing import Any

import pytest
from tiny import build

from emonet.benchmarks.bare_backbone import Recorder, compare, predict


@pytest.mark.parametrize("memory", ["none", "corpus"])
def test_the_backbone_encodes_the_same_tokens(tokenizer: Any, tmp_path: Path, memory: str) -> None:
    model, processor = build(tokenizer, "emonet-thesis", speaker_memory=memory, memory_window=1)
    source = tmp_path / "in.csv"
    source.write_text("dialogue_id,speaker,text\n" + "1,Ann,great we won\n1,Ann,no\n2,Bob,leave me alone\n")
    figures = compare(model, processor, source, rounds=1)
    (window,) = processor.encode([{"speaker": "Bob", "text": "leave me alone"}])
    recorder = Recorder(model)
    assert predict(recorder, processor, source) == figures["turns"] == 3
    assert window["input_ids"] in recorder.windows and len(recorder.windows) == 2
    assert recorder.utterances == (processor.encode_memory(["great we won"]) if memory == "corpus" else [])
    assert figures["tokens"] == sum(map(len, recorder.windows + recorder.utterances))
    assert figures["share_of_rate_by_processor"] > 0
