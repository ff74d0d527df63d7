"""DailyDialog in tiny files of the official layout, whole and damaged."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_corpora import write_dailydialog

from emonet.data import Conversations, DailyDialog, load_conversations
from emonet.data.loading import primary_metric
from emonet.dialogue.names import identity, is_role
from emonet.dialogue.tables.rows import Dialogue
from emonet.errors import DataFormatError

TEXTS, LABELS = "train/dialogues_train.txt", "train/dialogues_emotion_train.txt"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_dailydialog(tmp_path / "dailydialog", zipped=False)


def refused(message: str) -> pytest.RaisesExc[DataFormatError]:
    return pytest.raises(DataFormatError, match=message)


def load(root: Path) -> Conversations:
    return load_conversations("dailydialog", root, cache_dir=root.parent / "cache", verify_counts=False)


def dialogues(root: Path) -> list[Dialogue]:
    return DailyDialog.dialogues(DailyDialog.find_files(root), verify_counts=False)


def change(path: Path, replace: Callable[[str], str]) -> None:
    text = path.read_text("utf-8")
    changed = replace(text)
    assert changed != text
    path.write_text(changed, "utf-8")


def test_dialogues_turns_and_labels(root: Path) -> None:
    found = dialogues(root)
    assert [(dialogue.split, len(dialogue.turns)) for dialogue in found] == [
        *[("train", count) for count in (2, 3, 4, 5)],
        *[(split, count) for split in ("validation", "test") for count in (2, 3)],
    ]
    assert [turn.text for turn in found[1].turns] == [f"It ’ s line {turn} of 1 ." for turn in range(3)]
    assert [turn.emotion for turn in found[1].turns] == ["anger", "disgust", "fear"]
    assert DailyDialog.labels == ["neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise"]


def test_speakers_take_turns_and_are_roles(root: Path) -> None:
    found = dialogues(root)
    for dialogue in found:
        speakers = [turn.speakers[0] for turn in dialogue.turns]
        assert (
            len(set(speakers)) == 2
            and speakers == speakers[:2] * (len(speakers) // 2) + speakers[: len(speakers) % 2]
        )
        assert all(map(is_role, speakers))
    name = found[0].turns[0].speakers[0]
    assert identity(name, found[0].dialogue_id) != identity(name, found[1].dialogue_id)
    loaded = load(root)
    assert len(loaded.speakers) == 1  # the unknown speaker
    for split in loaded.values():
        for row in split:
            first = row["turns"][0]["utterance_index"]
            assert all(index >= first for turn in row["turns"] for index in turn["speaker_history_index"])


def test_zips_hold_the_same(root: Path, tmp_path: Path) -> None:
    zipped = write_dailydialog(tmp_path / "zips")
    with zipfile.ZipFile(zipped / "train.zip", "a") as archive:
        archive.writestr("__MACOSX/train/._dialogues_train.txt", b"\0\5\x16\7")
    assert dialogues(zipped) == dialogues(root)
    shutil.move(root / "train", root / "train-of-zip")
    (root / "train").mkdir()
    shutil.move(root / "train-of-zip", root / "train" / "train")  # `unzip -d train train.zip`
    assert dialogues(zipped) == dialogues(root)


@pytest.mark.parametrize("name", ["", "dailydialog", "ijcnlp_dailydialog", "dailydialog/ijcnlp_dailydialog"])
def test_the_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_dailydialog(tmp_path / "data" / name)
    monkeypatch.setenv("EMONET_DATA", str(tmp_path / "data"))
    loaded = load_conversations("dailydialog", cache_dir=tmp_path / "cache", verify_counts=False)
    assert loaded.dataset_version == "dailydialog-1.0.0" and len(loaded["train"]) == 4


@pytest.mark.parametrize("zipped", [False, True])
def test_a_changed_file_is_noticed(tmp_path: Path, zipped: bool) -> None:
    root = write_dailydialog(tmp_path / "data", zipped)
    before = load(root)["train"][0]["turns"][0]["emotion"]
    if zipped:
        with zipfile.ZipFile(root / "train.zip") as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(root / "train.zip", "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, b"6" + content[1:] if "emotion" in name else content)
    else:
        change(root / LABELS, lambda text: "6" + text[1:])
    assert (before, load(root)["train"][0]["turns"][0]["emotion"]) == (0, 6)


def test_line_ends_and_encodings(root: Path) -> None:
    expected = dialogues(root)
    for file in (TEXTS, LABELS):
        content = (root / file).read_bytes().replace(b"\n", b"\r\n")
        (root / file).write_bytes(b"\xef\xbb\xbf" + content + b"\r\n")
    assert dialogues(root) == expected
    (root / TEXTS).write_bytes((root / TEXTS).read_text("utf-8-sig").encode("cp1252"))
    with pytest.warns(UserWarning, match=r"dialogues_train\.txt, line 1, byte 4: not UTF-8.*Windows-1252"):
        assert dialogues(root) == expected


def test_other_counts_are_refused(root: Path) -> None:
    with pytest.raises(
        DataFormatError,
        match=r"dailydialog train: expected 11118 dialogues and 87170 turns; found 4 and 14\.",
    ):
        load_conversations("dailydialog", root, cache_dir=root.parent / "cache")
    assert [sum(part) for part in zip(*DailyDialog.sizes.values(), strict=True)] == [13_118, 102_979]
    assert sum(DailyDialog.published_labels.values()) == 102_979


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (LABELS, "1 2 3 \n", "", "has 4 dialogues and dialogues_emotion_train.txt 3 lines"),
        (LABELS, "1 2 3 ", "", "line 2: 3 utterances, but 0 emotions"),
        (LABELS, "1 2 3 ", "1 2 ", r"train/dialogues_train\.txt, line 2: 3 utterances, but 2 emotions"),
        (LABELS, "1 2 3 ", "1 2 3 4 ", "line 2: 3 utterances, but 4 emotions"),
        (LABELS, "1 2 3 ", "1 7 3 ", r"emotion_train\.txt, line 2: '7' is not an emotion"),
        (LABELS, "1 2 3 ", "1 x 3 ", "line 2: 'x' is not an emotion"),
        (TEXTS, "line 4 of 3 . __eou__", "li", r"dialogues_train\.txt, line 4: a dialogue ends with __eou__"),
        (TEXTS, "line 0 of 1 . __eou__", "line 0 of 1 .", "line 2: 2 utterances, but 3"),
        (TEXTS, "\n", "\n\n", "has 7 dialogues and"),
    ],
)
def test_damaged_files_are_named(root: Path, file: str, old: str, new: str, message: str) -> None:
    change(root / file, lambda text: text.replace(old, new))
    with refused(message):
        dialogues(root)


def test_missing_files_are_named(root: Path, tmp_path: Path) -> None:
    (root / LABELS).unlink()
    with refused(r"lacks train/dialogues_emotion_train\.txt\. It must hold train\.zip"):
        load(root)
    shutil.rmtree(root / "train")
    with refused(r"lacks train\.zip\. .*yanran\.li"):
        load(root)
    for split in ("validation", "test"):
        shutil.rmtree(root / split)
    with refused(r"lacks train\.zip, validation\.zip, test\.zip.*dialogues_text\.txt"):
        load(root)
    with refused(r"neither this folder nor 'dailydialog' in it has train\.zip"):
        load(tmp_path / "nowhere")


def test_a_damaged_zip_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_dailydialog(tmp_path / "data")
    whole = (root / "test.zip").read_bytes()
    (root / "test.zip").write_bytes(whole[: len(whole) // 2])
    with refused(r"test\.zip: cannot read the zip .*; get it again"):
        load(root)
    (root / "test.zip").write_bytes(whole.replace(b"line 0", b"line 9", 1))
    with refused(r"test\.zip: cannot read the zip .*CRC"):
        load(root)
    with zipfile.ZipFile(root / "test.zip", "w") as archive:
        archive.writestr("test/dialogues_test.txt", "Hi . __eou__\n")
    with refused(r"test\.zip lacks dialogues_emotion_test\.txt"):
        load(root)
    monkeypatch.setattr("emonet.data.dailydialog._LARGEST", 100)
    with refused(r"train\.zip/dialogues_train\.txt: \d+ bytes are more than"):
        load(root)


def test_it_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONET_DATA", str(tmp_path))
    with refused(r"not downloaded.*licence.*yanran\.li.*EMONET_DATA.*train\.zip"):
        load_conversations("dailydialog", cache_dir=tmp_path)


def test_its_first_metric_leaves_neutral_out() -> None:
    assert primary_metric("dailydialog-1.0.0") == "micro_f1_no_neutral"
    for version in (
        "meld-1.0.0",
        "iemocap-4-1.0.0",
        "dailydialog-0a1b2c3d",
        "dailydialog-of-mine-1.0.0",
        None,
    ):
        assert primary_metric(version) == "weighted_f1"
