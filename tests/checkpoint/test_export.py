"""Saved folders hold exactly the code of their model, and load without emonet."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from code_of_0_1 import write_code_of_0_1
from tiny import DIALOGUE, build
from tiny_prompted import prompted
from without_emonet import run_without_emonet

from emonet.checkpoint import export, flatten
from emonet.checkpoint.export import missing_code
from emonet.checkpoint.flatten import flat_code
from emonet.context.base import SYSTEMS
from emonet.errors import EmoNetError
from emonet.hub.push import check_complete
from emonet.knowledge.concepts import ConceptTable
from emonet.modeling_emonet import EmoNetForSequenceClassification
from emonet.pipeline_emonet import EmoNetPipeline
from emonet.prompted.configuration import PromptSettings
from emonet.runs.prompted.presets import PROMPTED_PRESETS
from emonet.training.presets import PRESETS

PLAIN = [{"speaker": turn["speaker"], "text": turn["text"]} for turn in DIALOGUE]
CONCEPTS = ConceptTable(["joy"], [1.0], {"great": [(0, 1.0)]}, [{"licence": "CC0", "shareable": True}])
MOST_FILES = 20  # of code, with the endpoint's handler
ROOMS = tuple(path.name for path in Path(export.__file__).parents[1].iterdir() if path.is_dir())

LOAD_ALL = """
from pathlib import Path
from transformers import AutoModel
turns = json.loads(Path("turns.json").read_text())
found = {}
for folder in sorted(Path(".").glob("model-*")):
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    found[folder.name] = [row["scores"] for row in model.predict(turns)]
report(found)
"""

SAVE_AGAIN = """
from transformers import AutoModel, pipeline
turns = json.loads(open("turns.json").read())
found = {}
for name in ("plain", "system", "prompted"):
    AutoModel.from_pretrained(name, trust_remote_code=True).save_pretrained(name + "-model")
    pipe = pipeline("emotion-in-conversation", model=name + "-model", trust_remote_code=True)
    pipe.save_pretrained(name + "-pipe")
    pipe = pipeline("emotion-in-conversation", model=name + "-pipe", trust_remote_code=True)
    found[name] = [row["scores"] for row in pipe(turns)]
report(found)
"""


def code_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in folder.glob("*.py") if path.name != "handler.py"}


def all_code(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.py")}


def systems_in(folder: Path) -> set[str]:
    return {name for name in SYSTEMS if f"context_{SYSTEMS[name]}.py" in code_in(folder)} - {"gru"}


def scores(model: Any) -> list[Any]:
    return [pytest.approx(row["scores"], abs=1e-5) for row in model.predict(PLAIN)]


def save(tokenizer: Any, folder: Path, preset: str, family: str = "bert", **changes: Any) -> Any:
    model, model.processor = build(tokenizer, preset, family, **changes)
    model.save_pretrained(folder)
    return model


def save_one_file_each(tokenizer: Any, folder: Path) -> Any:
    """Save a model with its code as it was once written: a file for every module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_SPLIT", ROOMS)
        flatten._flat_code.cache_clear()
        model = save(tokenizer, folder, "rgat")
    flatten._flat_code.cache_clear()
    assert {"dialogue_reader.py", "dialogue_tables_table.py", "checkpoint_export.py"} < all_code(folder)
    assert len(all_code(folder)) > 3 * MOST_FILES and missing_code(folder) == []
    return model


# The code in a folder depends on the context module alone, so the fast test loads each
# module on an encoder and two presets on a decoder.
EVERY = [(name, family) for name in PRESETS for family in ("bert", "llama")]
FAST = [
    (name, family)
    for name, family in EVERY
    if (family == "bert" and not name.endswith("-finetuned")) or name in ("emonet", "rgat")
]


def save_presets(tokenizer: Any, folder: Path, presets: list[tuple[str, str]]) -> dict[str, Any]:
    """Save presets on families of backbones; return their scores by folder."""
    expected = {}
    for name, family in presets:
        knowledge: dict[str, Any] = {"num_concepts": 1, "concepts": CONCEPTS} if name == "ket" else {}
        run = folder / f"model-{name}-{family}"
        expected[run.name] = scores(save(tokenizer, run, name, family, **knowledge))
        system = PRESETS[name].config.get("context_module", "none")
        assert systems_in(run) == {system} - {"none", "gru"}, name
        assert missing_code(run) == []
    return expected


@pytest.mark.slow
def test_every_preset_loads_without_emonet(tokenizer: Any, decoder: Path, tmp_path: Path) -> None:
    expected = save_presets(tokenizer, tmp_path, FAST)
    for name, preset in PROMPTED_PRESETS.items():
        # The encoder that finds demonstrations comes with the package.
        settings = replace(preset.settings, demonstrations=0)
        model = prompted(decoder, settings, speakers={"Ann": 1})
        model.save_pretrained(tmp_path / f"model-{name}")
        expected[f"model-{name}"] = scores(model)
        assert missing_code(tmp_path / f"model-{name}") == []
    expected["model-one-file-each"] = scores(save_one_file_each(tokenizer, tmp_path / "model-one-file-each"))
    (tmp_path / "turns.json").write_text(json.dumps(PLAIN))
    assert run_without_emonet(LOAD_ALL, tmp_path, timeout=600) == expected


@pytest.mark.slow
def test_every_preset_on_every_family_loads_without_emonet(tokenizer: Any, tmp_path: Path) -> None:
    expected = save_presets(tokenizer, tmp_path, [preset for preset in EVERY if preset not in FAST])
    (tmp_path / "turns.json").write_text(json.dumps(PLAIN))
    assert run_without_emonet(LOAD_ALL, tmp_path, timeout=600) == expected


def test_a_repository_has_few_files(tokenizer: Any, decoder: Path, tmp_path: Path) -> None:
    save(tokenizer, tmp_path / "plain", "emonet")
    save(tokenizer, tmp_path / "system", "rgat")
    prompted(decoder, PromptSettings(window=3), speakers={"Ann": 1}).save_pretrained(tmp_path / "prompted")
    plain, system = all_code(tmp_path / "plain"), all_code(tmp_path / "system")
    assert "handler.py" in plain and len(plain) <= MOST_FILES
    assert len(all_code(tmp_path / "prompted")) <= MOST_FILES
    assert system - plain == {"context_rgat.py", "context_attention.py"} and plain < system
    assert not any("knowledge" in name for name in plain)


@pytest.mark.slow
def test_a_model_loaded_without_emonet_is_saved_completely(
    tokenizer: Any, decoder: Path, tmp_path: Path
) -> None:
    models = {
        name: save(tokenizer, tmp_path / name, preset)
        for name, preset in (("plain", "emonet"), ("system", "rgat"))
    }
    models["prompted"] = prompted(decoder, PromptSettings(window=3), speakers={"Ann": 1})
    models["prompted"].save_pretrained(tmp_path / "prompted")
    (tmp_path / "turns.json").write_text(json.dumps(PLAIN))
    found = run_without_emonet(SAVE_AGAIN, tmp_path)
    for name, model in models.items():
        assert found[name] == scores(model)
        for again in ("model", "pipe"):
            assert code_in(tmp_path / f"{name}-{again}") == code_in(tmp_path / name)


def test_a_second_save_leaves_the_files_that_belong_and_the_users_own(tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    save(tokenizer, folder, "rgat")
    own = {
        "notes.py": "NOTES = 1\n",
        "context_mine.py": "from .layers_heads import Standardizer\n",
        "a.txt": "a",
    }
    for name, text in own.items():
        (folder / name).write_text(text)
    (folder / "context_base.py").unlink()
    assert missing_code(folder) == ["context_base.py"]
    with pytest.raises(EmoNetError, match=r"lacks context_base\.py"):
        check_complete(folder)
    save(tokenizer, folder, "emonet")
    save(tokenizer, tmp_path / "fresh", "emonet")
    assert {name: text for name, text in code_in(folder).items() if name not in own} == code_in(
        tmp_path / "fresh"
    )
    assert {name: (folder / name).read_text() for name in own} == own
    check_complete(folder)


def test_code_of_one_file_each_makes_room(tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    save_one_file_each(tokenizer, folder)
    (folder / "dialogue_notes.py").write_text("NOTES = 1\n")
    save(tokenizer, folder, "emonet")
    save(tokenizer, tmp_path / "fresh", "emonet")
    assert code_in(folder) == {**code_in(tmp_path / "fresh"), "dialogue_notes.py": "NOTES = 1\n"}
    assert not list(folder.glob("*.bak*"))


@pytest.mark.parametrize("kind", ["emonet", "prompted"])
def test_the_code_of_version_0_1_makes_room(tokenizer: Any, decoder: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    write_code_of_0_1(folder, kind)
    assert (folder / "context_registry.py").is_file() and (folder / "errors.py").is_file()
    (folder / "notes.py").write_text("NOTES = 1\n")
    save(tokenizer, folder, "emonet")
    save(tokenizer, tmp_path / "fresh", "emonet")
    assert code_in(folder) == {**code_in(tmp_path / "fresh"), "notes.py": "NOTES = 1\n"}
    assert not list(folder.glob("*.bak*"))


def test_a_users_file_in_the_way_is_kept(tokenizer: Any, tmp_path: Path) -> None:
    for text in ("MINE = 1\n", "MINE = 2\n"):
        (tmp_path / "errors.py").write_text(text)
        save(tokenizer, tmp_path, "emonet")
    assert (tmp_path / "errors.py.bak").read_text() == "MINE = 1\n"
    assert (tmp_path / "errors.py.bak2").read_text() == "MINE = 2\n"
    assert "class EmoNetError" in (tmp_path / "errors.py").read_text()


def test_a_link_is_not_written_through(tokenizer: Any, tmp_path: Path) -> None:
    """Links within the folder are allowed; saving must not change their targets."""
    save(tokenizer, tmp_path / "run" / "earlier", "rgat")
    before = code_in(tmp_path / "run" / "earlier")
    for name in before:
        (tmp_path / "run" / name).symlink_to(tmp_path / "run" / "earlier" / name)
    save(tokenizer, tmp_path / "run", "emonet")
    assert code_in(tmp_path / "run" / "earlier") == before
    assert systems_in(tmp_path / "run") == set()


def test_the_pipeline_saves_the_processor_it_was_given(tokenizer: Any, tmp_path: Path) -> None:
    model, processor = build(tokenizer, "emonet")
    EmoNetPipeline(model, processor).save_pretrained(tmp_path)
    assert missing_code(tmp_path) == [] and (tmp_path / "tokenizer.json").is_file()
    loaded = EmoNetForSequenceClassification.from_pretrained(tmp_path)
    assert [row["scores"] for row in loaded.predict(PLAIN)] == scores(model)


def test_a_subclass_of_the_users_own_loads_as_its_base(tokenizer: Any, tmp_path: Path) -> None:
    class Mine(EmoNetForSequenceClassification):
        pass

    model, processor = build(tokenizer, "emonet")
    mine = Mine(model.config)
    mine.processor = processor
    mine.save_pretrained(tmp_path)
    auto_map = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModel"] == "modeling_emonet.EmoNetForSequenceClassification"
    assert missing_code(tmp_path) == []


@pytest.mark.slow
def test_a_system_that_the_code_lacks_is_named(tokenizer: Any, tmp_path: Path) -> None:
    save(tokenizer, tmp_path / "model", "rgat")
    code = """
from transformers import AutoConfig
config = AutoConfig.from_pretrained("model", trust_remote_code=True)
try:
    type(config)(context_module="spcl")
except ValueError as error:
    report(str(error))
"""
    assert "context_module='spcl' is not in the code of this checkpoint" in run_without_emonet(code, tmp_path)


def test_an_import_of_a_missing_file_is_named() -> None:
    with pytest.raises(EmoNetError, match=r"gone\.py is missing"):
        flat_code(Path(__file__).parents[2] / "context" / "gone.py")


def test_a_file_in_place_of_the_folder_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(EmoNetError, match="is a file"):
        save(tokenizer, tmp_path / "run", "emonet")
