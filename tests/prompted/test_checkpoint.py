"""Prompted checkpoints: save, push, load with and without emonet, sessions."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_hub import USER, FakeHub
from huggingface_hub import HfApi
from tiny import DIALOGUE, OTHER, build
from tiny_prompted import LETTERS, prompted
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor, pipeline
from without_emonet import run_without_emonet

from emonet import EmoNetSession, PromptedSession
from emonet.adapters.lora import LoraSettings, add_adapters, save_adapter
from emonet.engines.load import load_engine
from emonet.errors import EmoNetError
from emonet.hub.card import usage_snippet
from emonet.hub.push import push_run
from emonet.inference.stream import predict_stream
from emonet.prompted.configuration import PromptSettings
from emonet.prompted.modeling import PromptedEmoNet
from emonet.prompted.prompts import SpeakerFacts, nothing_known

SETTINGS = PromptSettings(window=3, trajectory=2, biography=True, biography_budget=12)
BIOGRAPHIES = {
    name: {
        "text": text,
        "kind": "extractive",
        "model": "emonet",
        "prompt_digest": "abc",
        "anonymous": False,
        "utterances": ["d#1"],
    }
    for name, text in (("Ann", "great news"), ("Bob", "i hate this"))
}
PLAIN = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]
MODEL = f"{USER}/prompted"

LOAD = """
import sys
sys.modules["peft"] = None  # as if it were not installed
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoProcessor, pipeline
trust = dict(trust_remote_code=True)
models = [auto.from_pretrained(NAME, **trust) for auto in (AutoModel, AutoModelForSequenceClassification)]
pipe = pipeline("emotion-in-conversation", model=NAME, **trust)
processor = AutoProcessor.from_pretrained(NAME, **trust)
report(dict(
    labels=AutoConfig.from_pretrained(NAME, **trust).label_names,
    biography=processor.biographies["Ann"]["text"],
    rows=[model.predict(TURNS) for model in models] + [pipe(TURNS), pipe([TURNS, TURNS], batch_size=2)[1]],
))
"""


def load_code(name: Any) -> str:
    return f"NAME, TURNS = {str(name)!r}, {PLAIN!r}\n{LOAD}"


def near(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "score": pytest.approx(row["score"], abs=1e-5),
            "scores": pytest.approx(row["scores"], abs=1e-5),
        }
        for row in rows
    ]


@pytest.fixture
def model(decoder: Path) -> PromptedEmoNet:
    built = prompted(decoder, SETTINGS, speakers={"Ann": 1, "Bob": 2})
    built.processor.biographies = dict(BIOGRAPHIES)
    return built


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub() as running, running.here(tmp_path / "cache"):
        yield running


def adapt(model: Any) -> Any:
    """Add adapters that change the scores."""
    add_adapters(model, LoraSettings(rank=2, dropout=0.0))
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    return model


def test_rows_have_the_format_of_a_packed_model(model: PromptedEmoNet, tokenizer: Any) -> None:
    packed, packed.processor = build(tokenizer, "emonet-lm", "llama")
    ours, theirs = model.predict(PLAIN), packed.predict(PLAIN)
    assert [list(row) for row in ours] == [list(row) for row in theirs]
    assert all(list(row["scores"].values()) == sorted(row["scores"].values(), reverse=True) for row in ours)
    assert all(sum(row["scores"].values()) == pytest.approx(1, abs=1e-5) for row in ours)
    assert model.predict([]) == [] and len(model.predict(PLAIN, top_k=2)[0]["scores"]) == 2
    model.config.calibration_temperature = 3.0
    flat = model.predict(PLAIN)
    assert [row["label"] for row in flat] == [row["label"] for row in ours] and flat[0]["score"] < ours[0][
        "score"
    ]


@pytest.mark.slow
def test_all_loaders_give_the_same_rows(model: PromptedEmoNet, tmp_path: Path) -> None:
    adapt(model)
    expected = near(model.predict(PLAIN))
    model.save_pretrained(tmp_path / "run")
    for auto in (AutoModel, AutoModelForSequenceClassification):
        again = auto.from_pretrained(tmp_path / "run")
        assert type(again) is PromptedEmoNet and again.predict(PLAIN) == expected
    assert pipeline("emotion-in-conversation", model=str(tmp_path / "run"))(PLAIN) == expected
    assert load_engine(tmp_path / "run")[1].biographies == BIOGRAPHIES
    assert AutoConfig.from_pretrained(tmp_path / "run").prompt_settings == SETTINGS
    assert AutoProcessor.from_pretrained(tmp_path / "run").biographies == BIOGRAPHIES
    found = run_without_emonet(load_code(tmp_path / "run"), tmp_path)
    assert found == {"labels": LETTERS, "biography": "great news", "rows": [expected] * 4}


@pytest.mark.slow
def test_hub_round_trip_merged_and_as_adapters(
    model: PromptedEmoNet, decoder: Path, hub: FakeHub, tmp_path: Path
) -> None:
    base = f"{USER}/base"
    model.language_model.save_pretrained(tmp_path / "base")
    model.tokenizer.save_pretrained(tmp_path / "base")
    HfApi().create_repo(base)
    HfApi().upload_folder(repo_id=base, folder_path=tmp_path / "base")
    model.config.backbone = base
    adapt(model)
    expected = near(model.predict(PLAIN))
    model.save_pretrained(tmp_path / "run")
    save_adapter(model, tmp_path / "run" / "adapter")

    push_run(tmp_path / "run" / "adapter", MODEL)
    files = set(hub.files(MODEL))
    assert files >= {
        "emonet_adapter.json",
        "emonet_adapter.safetensors",
        "biographies.json",
        "prompted.py",
        "handler.py",
    }
    assert "model.safetensors" not in files
    assert load_engine(MODEL)[0].predict(PLAIN) == expected
    assert AutoModel.from_pretrained(MODEL).predict(PLAIN) == expected
    (tmp_path / "one").mkdir()
    assert run_without_emonet(load_code(MODEL), tmp_path / "one", **hub.environment)["rows"] == [expected] * 4
    card = hub.files(MODEL)["README.md"].decode()
    assert "alone in this repository" in card and f"base_model: {base}" in card

    push_run(tmp_path / "run", MODEL)
    assert "model.safetensors" in hub.files(MODEL)
    assert "emonet_adapter.json" not in hub.files(MODEL), "it would be loaded instead of the model"
    (tmp_path / "two").mkdir()
    assert run_without_emonet(load_code(MODEL), tmp_path / "two", **hub.environment)["rows"] == [expected] * 4


def test_missing_backbone_of_adapters(model: PromptedEmoNet, tmp_path: Path) -> None:
    save_adapter(adapt(model), tmp_path / "adapter")
    with pytest.raises(
        EmoNetError, match=r"the backbone 'tiny-llama\d*', which can't be loaded here .*backbone_path"
    ):
        PromptedEmoNet.from_pretrained(tmp_path / "adapter")


def test_incomplete_folders_are_refused(model: PromptedEmoNet, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    (tmp_path / "biographies.json").unlink()
    with pytest.raises(EmoNetError, match=r"lacks biographies\.json"):
        push_run(tmp_path, MODEL)
    with pytest.raises(ValueError, match=r"no biographies\.json that loads"):
        load_engine(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "prompts": {"windw": 3}}))
    with pytest.raises(EmoNetError, match="no setting 'windw'; the settings are window"):
        load_engine(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(EmoNetError, match="a model of the kind 'bert', not a checkpoint of emonet"):
        load_engine(tmp_path)


def test_encoders_are_refused(backbone: Path) -> None:
    with pytest.raises(EmoNetError, match="'bert' is an encoder"):
        PromptedEmoNet.from_backbone(str(backbone), LETTERS, SETTINGS)


def test_card_describes_model_adapters_and_biographies(model: PromptedEmoNet, tmp_path: Path) -> None:
    adapt(model)
    save_adapter(
        model,
        tmp_path / "adapter",
        {"preset": "emonet-lm-prompted", "training": {"lora_rank": 2}, "epochs": []},
    )
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert (
        "## Language model" in card and "prompted, one instruction prompt a turn with 3 earlier turns" in card
    )
    assert "LoRA of rank 2 on all linear layers of the backbone, alone in this repository" in card
    assert "| extractive | emonet | abc | 2 | 2 |" in card and "without a language model" in card
    assert "by name, as text, with a biography, with what they felt lately" in card
    assert "emotion-in-conversation" in usage_snippet(card)


def test_card_names_the_sources_of_non_causal_systems(decoder: Path, tmp_path: Path) -> None:
    settings = PromptSettings(
        biography=True,
        biography_writer="smollm2",
        biography_of_dialogue=True,
        future_window=5,
        label_statement=True,
        demonstrations=1,
    )
    stage = {"task": "oReact", "annotator": "smollm2-abc", "examples": 40}
    save_adapter(adapt(prompted(decoder, settings)), tmp_path, {"epochs": [], "first_stage": stage})
    card = (tmp_path / "README.md").read_text()
    assert "from the whole dialogue that a turn stands in, later turns included" in card
    assert "training utterances alone" not in card
    assert "5 later turns" in card and "the labels once more" in card
    assert "oReact, as `smollm2-abc` wrote it of training turns (40 examples)" in card
    assert "labelled turns of training (1)" in card


def test_adapters_load_in_another_precision(model: PromptedEmoNet, tmp_path: Path) -> None:
    base = tmp_path / "base"
    model.language_model.save_pretrained(base)
    model.tokenizer.save_pretrained(base)
    rows = adapt(model).predict(PLAIN)
    save_adapter(model, tmp_path / "adapter")
    half = PromptedEmoNet.from_pretrained(tmp_path / "adapter", backbone_path=str(base), dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    for ours, theirs in zip(half.predict(PLAIN), rows, strict=True):
        assert ours["scores"] == pytest.approx(theirs["scores"], abs=0.1)
    named = PromptedEmoNet.from_pretrained(tmp_path / "adapter", backbone_path=str(base), dtype="bfloat16")
    assert named.predict(PLAIN) == half.predict(PLAIN)


# -- what is known of speakers


def test_biographies_and_histories_change_the_scores(model: PromptedEmoNet) -> None:
    rows = model.predict(PLAIN)
    model.processor.biographies = {**BIOGRAPHIES, "Bob": {**BIOGRAPHIES["Bob"], "text": "great news"}}
    other = model.predict(PLAIN)
    assert other[0] == rows[0] and other[1]["scores"] != rows[1]["scores"], "only Bob's turn changes"
    model.processor.biographies = dict(BIOGRAPHIES)
    assert model.predict(PLAIN, history={"Ann": ["no", "i hate this"]})[0]["scores"] != rows[0]["scores"]
    earlier = [{"speaker": "Ann", "text": "no"}, {"speaker": "Ann", "text": "i hate this"}]
    in_order = model.predict_dialogues([earlier, PLAIN])[1][0]
    assert in_order != model.predict_dialogues([PLAIN])[0][0], "earlier dialogues are the history"
    apart = model.predict_dialogues([earlier, PLAIN], [{}, {}])
    for alone, whole in ((False, model.predict_dialogues([earlier, PLAIN])), (True, apart)):
        streamed = predict_stream(model, model.processor, map(iter, [earlier, PLAIN]), alone=alone)
        assert [row for rows in streamed for row in rows] == near([row for rows in whole for row in rows])
    assert apart[1] == near(model.predict_dialogues([PLAIN], [{}])[0]), "every dialogue has its own history"


def test_biographies_are_cut_to_the_budget(model: PromptedEmoNet) -> None:
    text = model.prompts.text(PLAIN, 0, lambda _: SpeakerFacts("a b " * 20))
    assert "About Ann: a b a b a b a b a b a b\n" in text and SETTINGS.biography_budget == 12


def test_anonymous_prompts_hold_no_names(decoder: Path) -> None:
    settings = PromptSettings(window=3, trajectory=2, biography=True, anonymous=True)
    model = prompted(decoder, settings, speakers={"Bob": 1, "Ross Geller": 2})
    turns = [
        {"speaker": "Ross Geller", "text": "hello Bob"},
        {"speaker": "Ann", "text": "Ross we won"},
        {"speaker": "The Waiter", "text": "The news"},
        {"speaker": "Bob", "text": "Ann no"},
    ]
    prompt = model.prompts.text(turns, 3, lambda _: SpeakerFacts("Bob talks most with Ross Geller."))
    assert not {"Bob", "Ross", "Geller", "Ann"} & set(prompt.replace('"', " ").replace(":", " ").split())
    assert 'Person 2: "hello Person 1"' in prompt and 'Person 3: "Person 2 we won"' in prompt
    assert (
        'The Waiter: "The news"' in prompt and "About Person 1: Person 1 talks most with Person 2." in prompt
    )
    renamed = [
        {**turn, "speaker": turn["speaker"].replace("Ann", "Zoe"), "text": turn["text"].replace("Ann", "Zoe")}
        for turn in turns
    ]
    assert model.prompts.text(renamed, 3) == model.prompts.text(turns, 3)
    named = prompted(decoder, PromptSettings(window=3), speakers={"Bob": 1})
    assert "Ann" in named.prompts.text(turns, 3)


# -- turn by turn

LONG = [*PLAIN, *OTHER, *PLAIN, *PLAIN]  # more turns than the window


@pytest.mark.parametrize("template", [1, 2])
def test_session_equals_the_whole_dialogue(decoder: Path, template: int, tmp_path: Path) -> None:
    model = prompted(decoder, replace(SETTINGS, template=template))
    model.processor.biographies = dict(BIOGRAPHIES)
    session = PromptedSession(model, history={"Ann": ["no"]})
    rows = [session.add(turn["speaker"], turn["text"]) for turn in LONG[:9]]
    assert session.dropped_turns == 9 - (session.labeller.settings.most_earlier_turns + 1)
    session.save(tmp_path)
    again = PromptedSession.restore(tmp_path, model)
    rows += [again.add(turn["speaker"], turn["text"]) for turn in LONG[9:]]
    whole = model.predict(
        [{"speaker": turn["speaker"], "text": turn["text"]} for turn in LONG], history={"Ann": ["no"]}
    )
    assert rows == near(whole) and again.turns == len(LONG)


def test_sessions_of_another_model_are_refused(model: PromptedEmoNet, decoder: Path, tmp_path: Path) -> None:
    PromptedSession(model).save(tmp_path)
    with pytest.raises(EmoNetError, match="the session of another model"):
        PromptedSession.restore(tmp_path, prompted(decoder, PromptSettings(window=2)))
    with pytest.raises(EmoNetError, match="the session of another model"):
        PromptedSession.restore(tmp_path, adapt(prompted(decoder, SETTINGS, speakers={"Ann": 1, "Bob": 2})))
    with pytest.raises(EmoNetError, match="no saved session"):
        PromptedSession.restore(tmp_path / "none", model)
    with pytest.raises(EmoNetError, match="PromptedSession"):
        EmoNetSession(model)
    with pytest.raises(EmoNetError, match="hold later turns"):
        PromptedSession(prompted(decoder, PromptSettings(future_window=1)))
    with pytest.raises(TypeError, match="must be a list of strings"):
        PromptedSession(model, history={"Ann": "no"})


def test_dialogues_over_the_context_length(decoder: Path) -> None:
    model = prompted(decoder, PromptSettings(window=400, trajectory=2))
    long = [{"speaker": "Ann", "text": "leave me alone you fool " * 3}] * 150
    rows = model.predict(long)
    assert len(rows) == 150
    limit = model.config.text_config.max_position_embeddings
    assert len(model.processor.prompt(long, 149, nothing_known)) < limit < 150 * 15
    changed = [*long[:148], {"speaker": "Bob", "text": "great"}, long[-1]]
    assert model.predict(changed)[:148] == near(rows[:148])
