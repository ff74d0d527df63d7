"""Configurations: values of fields, errors, and earlier checkpoints."""

import copy
import json
import pickle
import shutil
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from tiny import DIALOGUE, build, text_config
from transformers import AutoConfig
from without_emonet import run_without_emonet

from emonet.configuration_emonet import CheckpointConfig, EmoNetConfig, strict_config
from emonet.constants import CHOICES
from emonet.engines.load import load_engine
from emonet.errors import EmoNetError
from emonet.prompted.configuration import PromptedEmoNetConfig

DUMMY = Path(__file__).parent / "checkpoint" / "dummy_checkpoint"


def test_the_command_line_offers_the_choices_of_the_fields() -> None:
    fields = EmoNetConfig.__dataclass_fields__.values()
    assert {
        field.name: get_args(field.type) for field in fields if get_origin(field.type) is Literal
    } == CHOICES


@pytest.mark.parametrize("field", CHOICES)
def test_a_wrong_choice_is_refused_with_the_valid_ones(field: str) -> None:
    for wrong in ("nonesuch", None, 1, True, [CHOICES[field][0]]):
        with pytest.raises(EmoNetError, match=rf"^{field}=.* is not one of {', '.join(CHOICES[field])}\.$"):
            EmoNetConfig(**{field: wrong})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"memory_window": "3"}, r"^memory_window='3' must be int; the default is 10\.$"),
        ({"memory_window": True}, "memory_window=True must be int"),
        ({"context_window": -1}, r"^context_window=-1 must be at least 0, or None\.$"),
        ({"context_window": "all"}, r"context_window='all' must be int \| None"),
        ({"causal": "no"}, "causal='no' must be bool"),
        ({"head_dropout": 1.5}, "head_dropout=1.5 must be from 0 to 1"),
        ({"attention_dropout": 1.0}, "attention_dropout=1.0 must be from 0 to below 1, or None"),
        (
            {"calibration_temperature": float("nan")},
            "calibration_temperature=nan must be positive and finite",
        ),
        ({"class_weights": "heavy"}, r"class_weights='heavy' must be Sequence\[float"),
        ({"class_weights": [1.0, -1.0]}, "must be finite and not negative"),
        ({"class_weights": [1.0, float("nan")]}, "must be finite and not negative"),
        ({"readout_layer": 99}, "readout_layer=99, but the backbone has 12 layers"),
        ({"id2label": ["Joyful", "Mad"]}, "id2label=.* must name every class by its id from 0"),
        ({"id2label": {"1": "Joyful", "2": "Mad"}}, "id2label=.* must name every class by its id from 0"),
        ({"text_config": "bert"}, "text_config='bert' is not a configuration"),
        ({"text_config": {"model_type": ["bert"]}}, "is not a model of the installed transformers"),
        (
            {"text_config": {"hidden_size": "wide"}},
            "not a configuration of the model bert .*hidden_size.*'wide'",
        ),
    ],
)
def test_the_error_of_a_wrong_value_names_field_and_remedy(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EmoNetError, match=message):
        EmoNetConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompts": {"moods": 1}}, "no setting 'moods'; the settings are window"),
        ({"prompts": {"window": -1}}, "window=-1 must be at least 0"),
        ({"prompts": {"biography": "no"}}, "biography='no' must be bool"),
        ({"prompts": [1]}, "prompts=.* must be dict"),
        ({"text_config": {"model_type": "bert"}}, "'bert' is an encoder"),
        ({"class_weights": [1.0]}, "class_weights has 1 values for 2 labels"),
        ({"calibration_temperature": 0}, "calibration_temperature=0 must be positive"),
    ],
)
def test_a_prompted_configuration_is_as_strict(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EmoNetError, match=message):
        PromptedEmoNetConfig(**fields)


def test_fields_are_checked_when_set_and_before_saving(tmp_path: Path) -> None:
    config = EmoNetConfig()
    with pytest.raises(EmoNetError, match="pooling='max' is not one of"):
        config.pooling = "max"
    assert config.pooling == "mean"
    config.pool_marker, config.context_mode = False, "per_turn"
    with pytest.raises(EmoNetError, match="pool_marker=False needs context_mode='packed'"):
        config.save_pretrained(tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_integers_pass_for_floats_and_tuples_for_lists(tmp_path: Path) -> None:
    config = EmoNetConfig(head_dropout=0, memory_half_life=2, class_weights=(1, 0.5))
    config.save_pretrained(tmp_path)
    for again in (
        config,
        EmoNetConfig.from_pretrained(tmp_path),
        copy.deepcopy(config),
        pickle.loads(pickle.dumps(config)),
    ):
        assert (again.head_dropout, again.memory_half_life, again.class_weights) == (0, 2, [1, 0.5])


def test_an_earlier_configuration_is_kept_and_completed_with_defaults(tmp_path: Path) -> None:
    EmoNetConfig.from_pretrained(DUMMY).save_pretrained(tmp_path)
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (DUMMY, tmp_path))
    new = set(after) - set(before)
    assert {"attention_dropout", "head_members", "memory_half_life"} <= new, "the checkpoint is too recent"
    defaults = EmoNetConfig.own_defaults()
    assert {name: after[name] for name in new} == {name: defaults[name] for name in new}
    del before["transformers_version"]
    assert {name: after[name] for name in before} == before


def test_a_nested_configuration_stays_what_it_was(tmp_path: Path) -> None:
    config = EmoNetConfig(text_config=text_config("modernbert"), readout_layer=2, attn_implementation="eager")
    config.save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert type(again.text_config) is type(config.text_config)
    assert again.text_config.num_hidden_layers == 2 == len(again.text_config.layer_types)
    assert config.text_config._attn_implementation == "eager"
    assert again.to_json_string() == config.to_json_string()


def test_a_subclass_adds_fields_and_checks() -> None:
    @strict_config
    class Louder(EmoNetConfig):
        loudness: int = 3

        def validate_loudness(self) -> None:
            if self.loudness > 11:
                raise EmoNetError("It goes to eleven.")

    assert Louder(loudness=11, pooling="last").to_dict()["loudness"] == 11
    for fields, message in (
        ({"loudness": "x"}, "must be int"),
        ({"loudness": 12}, "eleven"),
        ({"pooling": "x"}, "not one of"),
    ):
        with pytest.raises(EmoNetError, match=message):
            Louder(**fields)


def test_no_configuration_repeats_a_shared_field() -> None:
    shared = set(CheckpointConfig.own_defaults())
    for config in (EmoNetConfig, PromptedEmoNetConfig):
        assert shared < set(config.own_defaults()) and not shared & set(config.__annotations__)


def test_the_error_names_the_checkpoint(tmp_path: Path) -> None:
    folder = shutil.copytree(DUMMY, tmp_path / "run")
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, "pooling": "max"}))
    (folder / "digests.json").unlink(missing_ok=True)
    with pytest.raises(EmoNetError, match=r"run: pooling='max' is not one of mean, first, last"):
        load_engine(folder)


@pytest.mark.slow
def test_without_the_package_a_configuration_is_as_strict(tokenizer: Any, tmp_path: Path) -> None:
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path / "run")
    code = f"""
from transformers import AutoConfig, AutoModel
config = AutoConfig.from_pretrained("run", trust_remote_code=True)
try:
    config.pooling = "max"
except ValueError as caught:
    error = [type(caught).__name__, str(caught)]
config.save_pretrained("again")
again = AutoConfig.from_pretrained("again", trust_remote_code=True)
rows = AutoModel.from_pretrained("run", config=again, trust_remote_code=True).predict({DIALOGUE[:2]!r})
report([type(config).__module__, error, again.to_json_string() == config.to_json_string(), len(rows)])
"""
    module, error, same, rows = run_without_emonet(code, tmp_path)
    assert module.startswith("transformers_modules.")
    assert error == ["EmoNetError", "pooling='max' is not one of mean, first, last."]
    assert same and rows == 2


@pytest.mark.parametrize(
    "family, limit, expected",
    [
        ("bert", None, 512),
        ("llama", None, 1024),
        ("llama", 4096, 4096),
        ("llama", 9000, 8192),
        ("roberta", 600, 512),
    ],
)
def test_a_sequence_is_as_long_as_positions_and_settings_allow(
    family: str, limit: int | None, expected: int
) -> None:
    positions = {"max_position_embeddings": 8192} if family == "llama" else {}
    config = EmoNetConfig(text_config=text_config(family, **positions), max_sequence_tokens=limit)
    assert config.sequence_limit == expected
