"""Single texts, as the Hub's page on text classification tells users to try them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import FAMILIES, build
from tiny_prompted import prompted
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from without_emonet import run_without_emonet

from emonet.errors import EmoNetError
from emonet.hub.handler import EndpointHandler
from emonet.modeling_emonet import EmoNetForSequenceClassification, EmoNetModel
from emonet.pipeline_emonet import EmoNetPipeline
from emonet.prompted.configuration import PromptSettings

TEXTS = ["that is wonderful news", "no", "i hate this so very much [UNK] 😀", ""]
NAMES = {"speaker_identity": "name", "identity_position": "marker"}
# Preset, family and changes of the forms that write a turn differently.
FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "global": ("emonet", "bert", {}),
    "local": ("emonet", "bert", {"speaker_identity": "local"}),
    "name": (
        "emonet",
        "roberta",
        {**NAMES, "pool_marker": True},
    ),
    "no-memory": ("emonet", "bert", {"speaker_memory": "none"}),
    "text-alone": (
        "emonet",
        "bert",
        NAMES,
    ),
    "per_turn": ("compm", "roberta", {}),
    "per_turn-decoder": ("emonet", "llama", {"context_mode": "per_turn", "pool_marker": True}),
    "decoder": ("emonet", "llama", {}),
    "heads": ("emonet-fast", "bert", {"head_members": 3}),
    "decoder-heads": ("emonet-fast", "qwen2", {"head_members": 3}),
    "modernbert": ("emonet", "modernbert", {}),
    "calibrated": ("emonet", "bert", {"calibration_temperature": 2.5}),
}


@pytest.fixture(params=FORMS)
def model(request: Any, tokenizer: Any) -> EmoNetForSequenceClassification:
    preset, family, changes = FORMS[request.param]
    model, processor = build(tokenizer, preset, family, **changes)
    model.processor = processor
    classifier: EmoNetForSequenceClassification = model
    return classifier


def predicted(model: Any, texts: list[str] = TEXTS) -> list[dict[str, float]]:
    return [model.predict([{"speaker": "#UNKNOWN#", "text": text}])[0]["scores"] for text in texts]


@torch.no_grad()
def scored(model: Any, **tokens: Any) -> list[Any]:
    scores = model(**tokens).logits.softmax(-1)
    names = model.config.label_names
    return [pytest.approx(dict(zip(names, row, strict=True)), abs=1e-5) for row in scores.tolist()]


@pytest.mark.parametrize("side", ["right", "left"])
def test_rows_of_the_tokenizer_score_as_predict(model: Any, side: str) -> None:
    rows = model.processor.tokenizer(TEXTS, padding=True, return_tensors="pt", padding_side=side)
    assert predicted(model) == scored(model, **rows)


def test_the_special_tokens_of_the_tokenizer_change_nothing(model: Any) -> None:
    tokenizer = model.processor.tokenizer
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    for text in TEXTS:
        inner = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert predicted(model, [text]) == scored(model, input_ids=torch.tensor([[start, *inner, end]]))


def test_outputs_have_no_dimension_of_turns(tokenizer: Any) -> None:
    model, model.processor = build(tokenizer, "emonet-fast", head_members=3)
    rows = tokenizer(TEXTS, padding=True, return_tensors="pt")
    outputs = model(**rows)
    assert outputs.logits.shape == (4, 7) and outputs.member_logits.shape == (4, 3, 7)
    assert outputs.turn_states.shape == (4, 32)
    base: EmoNetModel = model.base_model
    base.processor = model.processor
    assert torch.equal(base(**rows).turn_states, outputs.turn_states)


def test_labels_give_the_loss_of_the_same_turns(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet", class_weights=[1, 2, 3, 4, 5, 6, 7])
    model.processor = processor
    rows = tokenizer(TEXTS[:3], padding=True, return_tensors="pt")
    loss = model(**rows, labels=torch.tensor([0, 3, 6])).loss
    turns = [[{"speaker": "#UNKNOWN#", "text": text}] for text in TEXTS[:3]]
    batch = {**processor(turns), "labels": torch.tensor([[0], [3], [6]])}
    assert torch.allclose(loss, model(**batch).loss)
    loss.backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.classifier.parameters())


def test_pairs_and_dialogues_without_speakers_are_refused(tokenizer: Any) -> None:
    model, processor = build(tokenizer, "emonet")
    model.processor = processor
    pair = torch.tensor([[2, 7, 3, 8, 3]])  # [CLS] a [SEP] b [SEP]
    with pytest.raises(EmoNetError, match=r"pair of texts.*model\.predict"):
        model(input_ids=pair)
    with pytest.raises(EmoNetError, match="pair of texts"):
        model(input_ids=pair, token_type_ids=torch.tensor([[0, 0, 0, 1, 1]]))
    assert model(input_ids=pair, token_type_ids=torch.zeros_like(pair)).logits.shape == (1, 7)
    batch = processor([[{"speaker": "Ann", "text": "no"}]])
    batch.pop("speaker_ids")
    with pytest.raises(EmoNetError, match=r"speaker_ids is missing beside .*turn_ids"):
        model(**batch)


def saved(tokenizer: Any, folder: Path, form: str = "per_turn") -> str:
    preset, family, changes = FORMS[form]
    model, model.processor = build(tokenizer, preset, family, **changes)
    model.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("form", ["global", "per_turn", "decoder-heads", "calibrated"])
def test_the_page_s_snippet(tokenizer: Any, tmp_path: Path, form: str) -> None:
    folder = saved(tokenizer, tmp_path / "run", form)
    pipe = pipeline("text-classification", model=folder, trust_remote_code=True)
    texts = [text for text in TEXTS if text]
    expected = predicted(pipe.model, texts)
    best = [max(scores, key=lambda label: scores[label]) for scores in expected]
    assert pipe(texts[0]) == [{"label": best[0], "score": pytest.approx(expected[0][best[0]], abs=1e-5)}]
    assert [row["label"] for row in pipe(texts, batch_size=2)] == best
    found = [{row["label"]: row["score"] for row in rows} for rows in pipe(texts, top_k=None)]
    assert found == [pytest.approx(scores, abs=1e-5) for scores in expected]
    ours = pipeline("emotion-in-conversation", model=folder)(texts[0])
    assert ours[0]["scores"] == pytest.approx(expected[0], abs=1e-5)
    for auto_class in (AutoModel, AutoModelForSequenceClassification):
        rows = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
        assert expected == scored(auto_class.from_pretrained(folder), **rows)
    answer = EndpointHandler(folder)({"inputs": texts[0]})
    assert answer[0]["label"] == best[0] and answer[0]["scores"] == pytest.approx(expected[0], abs=1e-5)


@pytest.mark.slow
def test_the_snippet_without_the_package(tokenizer: Any, tmp_path: Path) -> None:
    folder = saved(tokenizer, tmp_path / "run")
    code = f"""
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
folder, trust = {folder!r}, dict(trust_remote_code=True)
pipe = pipeline("text-classification", model=folder, **trust)
tokenizer = AutoTokenizer.from_pretrained(folder, **trust)
model = AutoModelForSequenceClassification.from_pretrained(folder, **trust)
logits = model(**tokenizer(["that is wonderful news", "no"], padding=True, return_tensors="pt")).logits
report(dict(one=pipe("no"), many=pipe(["no", "ok"]), all=pipe("no", top_k=None), logits=logits.tolist(),
            ours=model.predict("no"), task=pipeline(model=folder, **trust).task))
"""
    found = run_without_emonet(code, tmp_path)
    scores = found["ours"][0]["scores"]
    assert {row["label"]: row["score"] for row in found["all"]} == pytest.approx(scores, abs=1e-5)
    assert found["one"] == [found["many"][0]] == [found["all"][0]]
    assert len(found["many"]) == 2 and len(found["logits"]) == 2
    assert found["task"] == "emotion-in-conversation"


def test_the_task_is_ours_where_none_is_named(tokenizer: Any, tmp_path: Path) -> None:
    folder = saved(tokenizer, tmp_path / "run")
    for trust in ({}, {"trust_remote_code": True}):
        pipe = pipeline(model=folder, **trust)
        assert type(pipe) is EmoNetPipeline and pipe.task == "emotion-in-conversation"
        assert pipe("no")[0]["text"] == "no"
    again = tmp_path / "again"
    pipe.save_pretrained(again)
    assert type(pipeline(model=str(again))) is EmoNetPipeline


def test_every_family_takes_the_snippet(tokenizer: Any) -> None:
    for family in FAMILIES:
        model, model.processor = build(tokenizer, "emonet", family)
        rows = tokenizer(TEXTS, padding=True, return_tensors="pt")
        assert predicted(model) == scored(model, **rows), family


def test_the_prompted_form_says_the_right_call(decoder: Path, tmp_path: Path) -> None:
    model = prompted(decoder, PromptSettings(window=2))
    model.save_pretrained(tmp_path / "run")
    with pytest.raises(EmoNetError, match=r"prompts, not texts: call model\.predict"):
        model(**model.tokenizer(["no", "ok ok ok"], padding=True, return_tensors="pt"))
    pipe = pipeline("text-classification", model=str(tmp_path / "run"))
    with pytest.raises(EmoNetError, match="emotion-in-conversation"):
        pipe("no")
    assert type(pipeline(model=str(tmp_path / "run"))) is EmoNetPipeline
