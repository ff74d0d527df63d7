"""`load_conversations`: counts, leakage on real data, the cache, wrong names."""

import os
import shutil
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import write_dailydialog, write_iemocap

from emonet.data import (
    IEMOCAP,
    IEMOCAP4,
    MELD,
    ConversationBuilder,
    Conversations,
    DailyDialog,
    EmoryNLP,
    load_conversations,
)
from emonet.data.emorynlp_aligned import EmoryNLPAligned
from emonet.data.loading_script import write_loading_script
from emonet.dialogue.names import identity
from emonet.errors import DataFormatError

COUNTS = {
    "emorynlp": ((713, 9934), (99, 1344), (85, 1328)),
    "emorynlp-aligned": ((659, 7551), (89, 954), (79, 984)),
    "meld": ((1038, 9989), (114, 1109), (280, 2610)),
}
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=COUNTS)
def corpus(request: pytest.FixtureRequest, corpora: Path, cache: Path) -> tuple[str, Conversations]:
    return request.param, load_conversations(request.param, corpora, cache_dir=cache)


def turns_of(corpus: Conversations) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for split, rows in corpus.items():
        for row in rows:
            for turn in row["turns"]:
                yield split, row["dialogue_id"], turn


def test_counts_are_the_published_ones(corpus: tuple[str, Conversations]) -> None:
    name, loaded = corpus
    turns = Counter(split for split, _, _ in turns_of(loaded))
    assert tuple((len(loaded[split]), turns[split]) for split in SPLITS) == COUNTS[name]
    builder = {"emorynlp": EmoryNLP, "emorynlp-aligned": EmoryNLPAligned, "meld": MELD}[name]
    assert {split: sum(labels.values()) for split, labels in builder.label_counts.items()} == dict(turns)


def test_no_leakage(corpus: tuple[str, Conversations]) -> None:
    _, loaded = corpus
    owner = {turn["utterance_index"]: (split, dialogue, turn) for split, dialogue, turn in turns_of(loaded)}
    assert sorted(owner) == list(range(len(loaded.utterance_texts())))
    longest = 0
    for index, (split, dialogue, turn) in owner.items():
        history = turn["speaker_history_index"]
        longest = max(longest, len(history))
        assert history == sorted(set(history)) and all(earlier < index for earlier in history)
        for earlier in history:
            other_split, other_dialogue, other = owner[earlier]
            assert other_split in ("train", split)
            assert identity(other["speaker"], other_dialogue) == identity(turn["speaker"], dialogue)
        assert turn["speaker"] == turn["speakers"][0]
        assert loaded.speakers.id_of(turn["speaker"]) == turn["speaker_id"]
        assert loaded.utterance_texts()[index] == turn["text"]
    assert longest == 10


def test_ids_follow_time_in_train(corpus: tuple[str, Conversations]) -> None:
    _, loaded = corpus
    seen = dict.fromkeys(turn["speaker_id"] for split, _, turn in turns_of(loaded) if split == "train")
    assert [speaker_id for speaker_id in seen if speaker_id] == list(range(1, len(loaded.speakers)))


def test_meld_dialogues_are_in_order_of_time(corpora: Path) -> None:
    folder = corpora / "meld"
    dialogues = MELD.dialogues({split: folder / name for split, name in MELD.files.items()})
    # As text, 0:36:59 would sort after 00:50:00.
    assert all(isinstance(dialogue.order[2], float) for dialogue in dialogues)
    assert len({dialogue.dialogue_id for dialogue in dialogues}) == 1432
    assert {turn.speakers for dialogue in dialogues for turn in dialogue.turns} >= {("Joey", "Chandler")}


def test_both_views_hold_the_same(corpora: Path, cache: Path) -> None:
    dialogues = load_conversations("emorynlp", corpora / "emorynlp", cache_dir=cache)
    utterances = load_conversations("emorynlp", corpora, view="utterances", cache_dir=cache)
    texts = dialogues.utterance_texts()
    assert utterances.utterance_texts() == texts
    assert utterances.speakers.ids() == dialogues.speakers.ids()
    nested = [(dialogue, turn) for _, dialogue, turn in turns_of(dialogues)]
    flat = [row for split in utterances.values() for row in split]
    for (dialogue, turn), row in zip(nested, flat, strict=True):
        assert row["dialogue_id"] == dialogue and {name: row[name] for name in turn} == turn
        assert row["speaker_history"] == [texts[index] for index in row["speaker_history_index"]]
        assert row["turn"] == 0 or row["utterance_index"] > 0


@pytest.mark.parametrize("scope", ["dialogue", "none"])
def test_narrower_scopes(corpora: Path, cache: Path, scope: str) -> None:
    loaded = load_conversations("emorynlp", corpora, history_scope=scope, history_window=3, cache_dir=cache)
    dialogue_of = {turn["utterance_index"]: dialogue for _, dialogue, turn in turns_of(loaded)}
    lengths = set()
    for _, dialogue, turn in turns_of(loaded):
        lengths.add(len(turn["speaker_history_index"]))
        assert {dialogue_of[earlier] for earlier in turn["speaker_history_index"]} <= {dialogue}
    assert lengths == ({0, 1, 2, 3} if scope == "dialogue" else {0})


def test_a_changed_file_is_noticed(tmp_path: Path, corpora: Path) -> None:
    folder = tmp_path / "meld"
    shutil.copytree(corpora / "meld", folder)
    before = load_conversations("meld", folder, cache_dir=tmp_path / "cache")
    file = folder / "dev_sent_emo.csv"
    file.chmod(0o644)
    content = file.read_text("utf-8")
    changed = content.replace("What?,Monica,surprise", "Wait?,Monica,surprise", 1)
    assert changed != content
    file.write_text(changed, "utf-8", newline="")
    after = load_conversations("meld", folder, cache_dir=tmp_path / "cache")
    assert sum(a != b for a, b in zip(before.utterance_texts(), after.utterance_texts(), strict=True)) == 1
    # The builder without `load_conversations` notices it too.
    builder = MELD(cache_dir=str(tmp_path / "cache"), config_name="utterances", data_dir=str(folder))
    builder.download_and_prepare()
    assert "Wait?" in list(builder.as_dataset(split="validation")["text"])
    file.write_text(changed.replace("surprise", "joy", 1), "utf-8", newline="")
    with pytest.raises(
        DataFormatError,
        match=r"meld validation: expected 114 dialogues .*'surprise': 150.*found.*'surprise': 149",
    ):
        MELD.dialogues({split: folder / name for split, name in MELD.files.items()})
    assert (
        len(load_conversations("meld", folder, cache_dir=tmp_path / "cache", verify_counts=False)["test"])
        == 280
    )


def test_wrong_names_list_the_corpora(tmp_path: Path) -> None:
    with pytest.raises(
        DataFormatError, match=r"'emorynpl' is neither a corpus \(emorynlp, emorynlp-full, .*meld, sample\)"
    ):
        load_conversations("emorynpl")
    with pytest.raises(DataFormatError, match=r"emotion-detection-trn\.json"):
        load_conversations("emorynlp", tmp_path)
    with pytest.raises(DataFormatError, match="no train, validation or test file"):
        load_conversations(tmp_path)
    with pytest.raises(DataFormatError, match="view='turns'"):
        load_conversations("sample", view="turns")
    with pytest.raises(DataFormatError, match="history_scope='all'"):
        load_conversations("sample", history_scope="all", cache_dir=tmp_path)


def test_public_files_are_fetched_or_the_error_names_emonet_data(
    tmp_path: Path, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EMONET_DATA", raising=False)
    monkeypatch.setattr(MELD, "url", f"{corpora.resolve()}/meld/")
    assert load_conversations("meld", cache_dir=tmp_path).dataset_version == "meld-1.0.0"
    monkeypatch.setattr(EmoryNLP, "url", f"{tmp_path}/nowhere/")
    with pytest.raises(DataFormatError, match=r"emorynlp: cannot fetch the files from .*EMONET_DATA"):
        load_conversations("emorynlp", cache_dir=tmp_path)


def test_broken_official_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '{"episodes": [{"scenes": [{"scene_id": "s01_e01_c01", "utterances": [{"speakers": ["A"]}]}]}]}'
    )
    with pytest.raises(DataFormatError, match=r"a\.json, utterance None: no field 'transcript'"):
        EmoryNLP.read(tmp_path / "a.json", "train")
    (tmp_path / "a.json").write_text('{"episodes": [\n oops')
    with pytest.raises(DataFormatError, match=r"a\.json, line 2, column 2: not JSON"):
        EmoryNLP.read(tmp_path / "a.json", "train")
    header = (
        "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,"
        "Season,Episode,StartTime,EndTime\n"
    )
    (tmp_path / "a.csv").write_text(header + "1,hi,Ann,joy,positive,0,0,8,21,noon,later\n")
    with pytest.raises(DataFormatError, match=r"a\.csv, line 2, column StartTime: 'noon'"):
        MELD.read(tmp_path / "a.csv", "train")


def test_the_sample_corpus(tmp_path: Path) -> None:
    loaded = load_conversations("sample", cache_dir=tmp_path)
    rows = list(turns_of(loaded))
    assert sum(map(len, loaded.values())) >= 60 and len(rows) >= 500
    scenes = Counter(speaker for speaker, _ in {(turn["speaker"], dialogue) for _, dialogue, turn in rows})
    assert sum(scenes[name] >= 5 for name in loaded.speakers) == 12
    assert {turn["emotion"] for _, _, turn in rows} == set(range(7))
    # Episode 9 is test: it sees earlier train episodes, not the later ones.
    index = {dialogue: turn["utterance_index"] for _, dialogue, turn in rows}
    assert index["s01e08_c01"] < index["s01e09_c01"] < index["s01e10_c01"]


def test_fewer_splits_keep_the_table(tmp_path: Path) -> None:
    loaded = load_conversations("sample", cache_dir=tmp_path)
    test = loaded.restricted_to(["test"])
    assert list(test) == ["test"] and test.utterance_texts() == loaded.utterance_texts()
    assert test.dataset_version == loaded.dataset_version and test.labels == loaded.labels


SCRIPT = """
import sys, datasets
assert datasets.__version__.startswith("3"), datasets.__version__
script, data_dir, cache, turns = sys.argv[1:]
for view in ("utterances", "dialogues"):
    rows = datasets.load_dataset(script, view, data_dir=data_dir, cache_dir=cache, trust_remote_code=True)
    found = sum(len(row["turns"]) for row in rows["test"]) if view == "dialogues" else len(rows["test"])
    assert found == int(turns), (view, found)
assert isinstance(rows["test"][0]["turns"][0]["speaker_history_index"], list)
"""


LOAD_SCRIPT = """
import datasets, importlib, sys
module = importlib.import_module("scripts.meld")
builder = module.MELD(cache_dir="cache", config_name="dialogues", data_dir=sys.argv[1])
builder.download_and_prepare()
assert len(builder.as_dataset(split="test")) == 280
assert not [name for name in sys.modules if name.partition(".")[0] == "emonet"]
"""


def test_a_loading_script_works_without_the_package(tmp_path: Path, corpora: Path) -> None:
    write_loading_script(MELD, tmp_path / "scripts")
    command = [sys.executable, "-c", LOAD_SCRIPT, str(corpora.resolve() / "meld")]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": ""}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


TINY_SCRIPT = """
import importlib, sys
name, builder, data_dir = sys.argv[1:]
module = importlib.import_module(f"scripts.{name}")
options = dict(cache_dir="cache", config_name="dialogues", verify_counts=False)
instance = getattr(module, builder)(data_dir=data_dir, **options)
instance.download_and_prepare()
assert len(instance.as_dataset(split="train")) > len(instance.as_dataset(split="test")) > 0
try:
    getattr(module, builder)(**options).download_and_prepare()
except ValueError as error:
    assert "is not downloaded" in str(error), error
assert not [name for name in sys.modules if name.partition(".")[0] == "emonet"]
"""


@pytest.mark.parametrize(
    ("builder", "write"),
    [(IEMOCAP, write_iemocap), (IEMOCAP4, write_iemocap), (DailyDialog, write_dailydialog)],
)
def test_a_licensed_corpus_works_as_a_script(
    tmp_path: Path, builder: type[ConversationBuilder], write: Callable[[Path], Path]
) -> None:
    script = write_loading_script(builder, tmp_path / "scripts")
    data_dir = write(tmp_path / "data")
    command = [sys.executable, "-c", TINY_SCRIPT, script.stem, builder.__name__, str(data_dir)]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": ""}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.slow
def test_the_builders_load_as_scripts_under_datasets_3(tmp_path: Path, corpora: Path) -> None:
    """Install datasets 3, unless EMONET_DATASETS3_PYTHON names a Python that has it."""
    python = os.environ.get("EMONET_DATASETS3_PYTHON")
    if not python:
        venv.create(tmp_path / "venv", with_pip=True)
        python = str(tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python")
        if subprocess.run(
            [python, "-m", "pip", "install", "-q", "datasets<4"], capture_output=True
        ).returncode:
            pytest.skip("datasets 3 cannot be installed here")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": ""}
    for builder, folder, turns in (
        (EmoryNLP, "emorynlp", 1328),
        (EmoryNLPAligned, "emorynlp_aligned", 984),
        (MELD, "meld", 2610),
    ):
        script = write_loading_script(builder, tmp_path / "scripts")
        command = [
            python,
            "-c",
            SCRIPT,
            str(script),
            str(corpora.resolve() / folder),
            str(tmp_path / "c"),
            str(turns),
        ]
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]
