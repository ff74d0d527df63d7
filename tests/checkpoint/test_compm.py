"""Compare the `compm` preset with the published computation, turn by turn."""

from typing import Any

import pytest
import torch
from tiny import DIALOGUE, LABEL_MAPS, OTHER, text_config
from torch import nn
from transformers import RobertaModel

from emonet.checkpoint.compm import convert_state_dict
from emonet.configuration_emonet import EmoNetConfig
from emonet.errors import EmoNetError
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.processing_emonet import EmoNetProcessor
from emonet.training.presets import preset_config


class PublishedCoMPM(nn.Module):
    """First token of the past, plus a GRU over the speaker's turns (Lee & Lee 2022)."""

    def __init__(self, config: Any):
        super().__init__()
        self.context_model = RobertaModel(config)
        self.speaker_model = RobertaModel(config)
        self.speakerGRU = nn.GRU(config.hidden_size, config.hidden_size, 2, dropout=0.3)
        self.W = nn.Linear(config.hidden_size, 7)

    def forward(self, tokenizer: Any, turns: list[dict[str, str]]) -> torch.Tensor:
        order: list[str] = []
        for turn in turns:
            if turn["speaker"] not in order:
                order.append(turn["speaker"])
        string = " ".join(f"<s{order.index(turn['speaker']) + 1}> {turn['text']}" for turn in turns)
        context = self.context_model(self._ids(tokenizer, string)).last_hidden_state[:, 0]
        earlier = [turn["text"] for turn in turns[:-1] if turn["speaker"] == turns[-1]["speaker"]]
        memory = torch.zeros_like(context)
        if earlier:
            vectors = [
                self.speaker_model(self._ids(tokenizer, text)).last_hidden_state[:, 0] for text in earlier
            ]
            memory = self.speakerGRU(torch.stack(vectors))[0][-1]
        return self.W(context + memory)[0]

    @staticmethod
    def _ids(tokenizer: Any, text: str) -> torch.Tensor:
        tokens = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)[-511:])
        return torch.tensor([[tokenizer.cls_token_id, *tokens]])


@pytest.fixture(scope="module")
def pair(tokenizer: Any) -> tuple[PublishedCoMPM, EmoNetForSequenceClassification, EmoNetProcessor]:
    torch.manual_seed(3)
    roberta = text_config("roberta", vocab_size=len(tokenizer))
    published = PublishedCoMPM(roberta).eval()
    with torch.no_grad():
        for parameter in published.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    config = EmoNetConfig(text_config=roberta, **LABEL_MAPS, **preset_config("compm", False, 3))
    model = EmoNetForSequenceClassification(config).eval()
    model.load_state_dict(convert_state_dict(published.state_dict()))
    return published, model, EmoNetProcessor(tokenizer, config)


@pytest.mark.parametrize("repeats", [1, 4, 12])
def test_logits_equal_the_published_computation(pair: Any, repeats: int, tokenizer: Any) -> None:
    published, model, processor = pair
    turns = [turn for _ in range(repeats) for turn in DIALOGUE if turn["text"]]
    with torch.no_grad():
        ours = model(**processor([turns, OTHER])).logits[0]
        for index in {0, 1, 2, len(turns) // 2, len(turns) - 1}:
            expected = published(tokenizer, turns[: index + 1])
            assert torch.allclose(ours[index], expected, atol=1e-4), index


def test_the_past_is_cut_at_511_tokens(pair: Any, tokenizer: Any) -> None:
    published, model, processor = pair
    turns = [{"speaker": "AB"[index % 2], "text": " ".join(["hello", "there"] * 20)} for index in range(30)]
    window = processor.encode(turns)[0]
    assert len(window["input_ids"][-1]) == 512 and window["input_ids"][-1][0] == tokenizer.cls_token_id
    with torch.no_grad():
        ours = model(**processor([turns])).logits[0, -1]
        assert torch.allclose(ours, published(tokenizer, turns), atol=1e-4)


def test_incomplete_or_foreign_checkpoints_are_refused(pair: Any) -> None:
    published, _, _ = pair
    state = published.state_dict()
    with pytest.raises(EmoNetError, match="no speakerGRU"):
        convert_state_dict({key: value for key, value in state.items() if not key.startswith("speakerGRU")})
    with pytest.raises(EmoNetError, match="not a key of a CoMPM checkpoint"):
        convert_state_dict({**state, "extra.weight": torch.zeros(1)})
