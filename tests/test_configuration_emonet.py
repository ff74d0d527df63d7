"""Configurations: what a field may hold, in the words that a user gets, and what an
earlier checkpoint said stays said.
"""

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

from emonet.choices import CHOICES
from emonet.configuration_emonet import CheckpointConfig, EmoNetConfig, strict_config
from emonet.engines.load import load_engine
from emonet.errors import EmoNetError
from emonet.prompted.configuration import PromptedEmoNetConfig

DUMMY = Path(__file__).with_name("dummy_checkpoint")


def test_a_command_line_offers_the_choices_of_the_fields() -> None:
    fields = EmoNetConfig.__dataclass_fields__.values()
    assert {
        field.name: get_args(field.type) for field in fields if get_origin(field.type) is Literal
    } == CHOICES


@pytest.mark.parametrize("field", CHOICES)
def test_a_choice_is_refused_with_those_that_there_are(field: str) -> None:
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
        ({"id2label": ["Joyful", "Mad"]}, "id2label=.* must name every class by its number from 0"),
        ({"id2label": {"1": "Joyful", "2": "Mad"}}, "id2label=.* must name every class by its number from 0"),
        ({"text_config": "bert"}, "text_config='bert' is no configuration"),
        ({"text_config": {"model_type": ["bert"]}}, "is not a model of the installed transformers"),
        (
            {"text_config": {"hidden_size": "wide"}},
            "no configuration of the model bert .*hidden_size.*'wide'",
        ),
    ],
)
def test_a_wrong_value_is_told_with_field_and_remedy(fields: dict[str, Any], message: str) -> None:
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


def test_a_field_is_checked_when_it_is_set_and_all_of_them_before_saving(tmp_path: Path) -> None:
    config = EmoNetConfig()
    with pytest.raises(EmoNetError, match="pooling='max' is not one of"):
        config.pooling = "max"
    assert config.pooling == "mean"
    config.pool_marker, config.context_mode = False, "per_turn"
    with pytest.raises(EmoNetError, match="pool_marker=False needs context_mode='packed'"):
        config.save_pretrained(tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_whole_numbers_pass_for_real_ones_and_tuples_for_lists(tmp_path: Path) -> None:
    config = EmoNetConfig(head_dropout=0, memory_half_life=2, class_weights=(1, 0.5))
    config.save_pretrained(tmp_path)
    for again in (
        config,
        EmoNetConfig.from_pretrained(tmp_path),
        copy.deepcopy(config),
        pickle.loads(pickle.dumps(config)),
    ):
        assert (again.head_dropout, again.memory_half_life, again.class_weights) == (0, 2, [1, 0.5])


def test_what_an_earlier_checkpoint_says_is_said_again_and_what_it_lacks_is_the_default(
    tmp_path: Path,
) -> None:
    EmoNetConfig.from_pretrained(DUMMY).save_pretrained(tmp_path)
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (DUMMY, tmp_path))
    lacks = set(after) - set(before)
    assert {"attention_dropout", "head_members", "memory_half_life"} <= lacks, (
        "the checkpoint is no earlier one"
    )
    assert {name: after[name] for name in lacks} == {
        name: EmoNetConfig.own_defaults()[name] for name in lacks
    }
    assert {name: after[name] for name in before if name != "transformers_version"} == {
        name: value for name, value in before.items() if name != "transformers_version"
    }


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


def test_both_configurations_have_comments_for_no_field_twice() -> None:
    shared = set(CheckpointConfig.own_defaults())
    for config in (EmoNetConfig, PromptedEmoNetConfig):
        assert shared < set(config.own_defaults()) and not shared & set(config.__annotations__)


def test_a_checkpoint_that_says_what_can_not_be_is_named(tmp_path: Path) -> None:
    folder = shutil.copytree(DUMMY, tmp_path / "run")
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, "pooling": "max"}))
    (folder / "digests.json").unlink(missing_ok=True)
    with pytest.raises(EmoNetError, match=r"run: pooling='max' is not one of mean, first, last"):
        load_engine(folder)


def test_without_the_package_a_configuration_is_as_strict(tokenizer: Any, tmp_path: Path) -> None:
    model, model.processor = build(tokenizer, "emonet-thesis")
    model.save_pretrained(tmp_path / "run")
    code = f"""
from transformers import AutoConfig, AutoModel
config = AutoConfig.from_pretrained("run", trust_remote_code=True)
try:
    config.pooling = "max"
except ValueError as error:
    told = [type(error).__name__, str(error)]
config.save_pretrained("again")
again = AutoConfig.from_pretrained("again", trust_remote_code=True)
rows = AutoModel.from_pretrained("run", config=again, trust_remote_code=True).predict({DIALOGUE[:2]!r})
report([type(config).__module__, told, again.to_json_string() == config.to_json_string(), len(rows)])
"""
    module, told, same, rows = run_without_emonet(code, tmp_path)
    assert module.startswith("transformers_modules.")
    assert told == ["EmoNetError", "pooling='max' is not one of mean, first, last."]
    assert same and rows == 2
