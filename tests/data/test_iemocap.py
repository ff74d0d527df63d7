"""IEMOCAP in tiny files of the release's layout, whole and damaged."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_corpora import EMOTIONS, write_iemocap

from emonet.data import IEMOCAP, IEMOCAP4, Conversations, load_conversations
from emonet.dialogue.names import is_role
from emonet.dialogue.tables.rows import Dialogue, Turn
from emonet.errors import DataFormatError

TEXTS = "Session1/dialog/transcriptions/Ses01F_impro01.txt"
VOTES = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_iemocap(tmp_path / "IEMOCAP_full_release")


def refused(message: str) -> pytest.RaisesExc[DataFormatError]:
    return pytest.raises(DataFormatError, match=message)


def load(root: Path, name: str = "iemocap") -> Conversations:
    return load_conversations(name, root, cache_dir=root.parent / "cache", verify_counts=False)


def dialogues(root: Path, builder: type[IEMOCAP] = IEMOCAP) -> list[Dialogue]:
    return builder.dialogues(builder.find_files(root), verify_counts=False)


def change(path: Path, replace: Callable[[str], str]) -> None:
    text = path.read_text()
    changed = replace(text)
    assert changed != text
    path.write_text(changed)


def test_speakers_are_ten_persons_by_their_own_letter(root: Path) -> None:
    found = dialogues(root)
    turns = [(dialogue.dialogue_id, turn) for dialogue in found for turn in dialogue.turns]
    assert {turn.speakers for _, turn in turns} == {(f"Ses0{n}_{sex}",) for n in range(1, 6) for sex in "FM"}
    assert not any(is_role(turn.speakers[0]) for _, turn in turns)
    # Both dialogues have the same man, whichever face was recorded.
    for name in ("Ses01F_impro01", "Ses01M_impro02"):
        assert next(
            turn for key, turn in turns if key == name and turn.text.startswith("Line 1 ")
        ).speakers == ("Ses01_M",)
    assert list(load(root).speakers) == [f"Ses0{n}_{sex}" for n in range(1, 5) for sex in "FM"]


def test_labels_of_six_and_of_four(root: Path) -> None:
    six = dict(zip(("hap", "sad", "neu", "ang", "exc", "fru"), IEMOCAP.labels, strict=True))
    four = {**six, "exc": "happy", "fru": None}
    for builder, names in ((IEMOCAP, six), (IEMOCAP4, four)):
        for dialogue in dialogues(root, builder):
            assert [turn.emotion for turn in dialogue.turns] == [names.get(code) for code in EMOTIONS]
        assert set(builder.labels) == set(names.values()) - {None}
    loaded = load(root, "iemocap-4")
    assert loaded.dataset_version == "iemocap-4-1.0.0" and loaded.labels == IEMOCAP4.labels
    counts = Counter(turn["emotion"] for row in loaded["test"] for turn in row["turns"])
    assert counts == {0: 3, 1: 6, 2: 3, 3: 3, None: 18}


def test_splits_are_by_session_and_validation_by_dialogue(tmp_path: Path) -> None:
    names: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for dialogue in dialogues(write_iemocap(tmp_path / "big", per_session=6)):
        names[dialogue.split].append(dialogue.dialogue_id)
    # Every tenth of the 24, whose ids are in the order F before M.
    assert names["validation"] == ["Ses01F_impro01", "Ses02M_impro04", "Ses04F_impro05"]
    sessions = Counter(name[:5] for name in names["train"])
    assert sessions == {"Ses01": 5, "Ses02": 5, "Ses03": 6, "Ses04": 5}
    assert len(names["test"]) == 6 and {name[:5] for name in names["test"]} == {"Ses05"}


def test_turns_are_in_order_of_time(root: Path) -> None:
    change(root / TEXTS, lambda text: "\n".join(reversed(text.splitlines())))
    turns = dialogues(root)[0].turns
    assert [turn.text for turn in turns] == [f"Line {index} of Ses01F_impro01." for index in range(11)]


def test_lines_without_a_turn_are_left_out(root: Path) -> None:
    before = dialogues(root)
    extra = "M: Yeah.\nSes01F_impro01_MXX0 [151.2551-153.4251]: [LAUGHTER]\nF:\n"
    (root / TEXTS).write_text(extra + (root / TEXTS).read_text() + extra.replace("MXX0", "FXX1"))
    (root / TEXTS).with_name("._Ses01F_impro01.txt").write_bytes(b"\0\5\x16\7")  # of macOS, in the release
    categorical = (root / VOTES).parent / "Categorical"
    categorical.mkdir()
    (categorical / "Ses01F_impro01_e2_cat.txt").write_text("Ses01F_impro01_F000 :Neutral; ()\n")
    assert dialogues(root) == before


@pytest.mark.parametrize("name", ["", "iemocap", "IEMOCAP_full_release", "iemocap/IEMOCAP_full_release"])
def test_the_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_iemocap(tmp_path / "data" / name)
    monkeypatch.setenv("EMONET_DATA", str(tmp_path / "data"))
    loaded = load_conversations("iemocap", cache_dir=tmp_path / "cache", verify_counts=False)
    assert loaded.dataset_version == "iemocap-1.0.0" and len(loaded["test"]) == 3


def test_a_changed_file_is_noticed(root: Path) -> None:
    first = load(root)
    change(root / TEXTS, lambda text: text.replace("Line 0", "Other 0"))
    second = load(root)
    pairs = zip(first.utterance_texts(), second.utterance_texts(), strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == [
        ("Line 0 of Ses01F_impro01.", "Other 0 of Ses01F_impro01.")
    ]


def test_line_ends_and_encodings(root: Path) -> None:
    expected = dialogues(root)
    for path in (root / TEXTS, root / VOTES):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert dialogues(root) == expected
    change(root / TEXTS, lambda text: text.replace("Line 0", "Café 0"))
    (root / TEXTS).write_bytes((root / TEXTS).read_text().encode("latin-1", "ignore"))
    with pytest.warns(UserWarning, match=r"Ses01F_impro01\.txt, line 1, byte \d+: not UTF-8.*Windows-1252"):
        assert dialogues(root)[0].turns[0].text == "Café 0 of Ses01F_impro01."
    (root / TEXTS).write_bytes((root / TEXTS).read_bytes().replace(b"\xe9", b"\x81"))
    with refused(r"Ses01F_impro01\.txt, line 1, byte \d+: not UTF-8; save"):
        dialogues(root)


def test_other_counts_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = r"expected 151 dialogues and 10039 turns, labels .*'happy': 595.*'happy': 648.*found 15 and 165"
    with refused(f"iemocap in all: {found}.*'happy': 15.*verify_counts=False"):
        load_conversations("iemocap", root, cache_dir=root.parent / "cache")
    with refused(r"iemocap-4 in all: .*'happy': 1636.*found 15 and 165"):
        load_conversations("iemocap-4", root, cache_dir=root.parent / "cache")


def corpus_of(sizes: dict[int, tuple[int, int]], labels: dict[str, int]) -> list[Dialogue]:
    """Dialogues with the given counts, by session; the labels are at the beginning."""
    emotions = iter([label for label, count in labels.items() for _ in range(count)])
    found = []
    for session, (count, turns) in sizes.items():
        sizes_of_dialogues = [1] * (count - 1) + [turns - count + 1]
        for index, size in enumerate(sizes_of_dialogues):
            rows = [Turn((f"Ses0{session}_F",), "x", next(emotions, None)) for _ in range(size)]
            found.append(Dialogue(f"{session}-{index}", "train", (session, str(index)), rows))
    return found


@pytest.mark.parametrize("builder", [IEMOCAP, IEMOCAP4])
def test_published_counts_pass(builder: type[IEMOCAP]) -> None:
    """Those of the release, and with the 53 turns more that the field's files have."""
    totals = (7380, 7433) if builder is IEMOCAP else (5531, 5584)
    assert tuple(sum(labels.values()) for labels in builder.published_labels) == totals
    for labels in builder.published_labels:
        builder._verify(corpus_of(builder.session_sizes, labels))
    wrong = {**builder.published_labels[0], "sad": 1085}
    with refused(r"in all: .*found 151 and 10039, labels .*'sad': 1085"):
        builder._verify(corpus_of(builder.session_sizes, wrong))
    moved = {**builder.session_sizes, 1: (28, 1820), 2: (30, 1810)}
    with refused(r"session 1: expected 28 dialogues and 1819 turns; found 28 and 1820"):
        builder._verify(corpus_of(moved, builder.published_labels[0]))


def without_line(number: int) -> Callable[[str], str]:
    return lambda text: "\n".join(line for index, line in enumerate(text.split("\n"), 1) if index != number)


@pytest.mark.parametrize(
    ("file", "replace", "message"),
    [
        (VOTES, without_line(3), r"transcriptions/Ses01F_impro01\.txt, line 1: .*F000 has no emotion in"),
        (TEXTS, without_line(2), r"EmoEvaluation/Ses01F_impro01\.txt, line 7: .*M000 has no line in"),
        (TEXTS, lambda text: text[:90], r"impro01\.txt, line 2: '.*' is not a turn like"),
        (TEXTS, lambda text: text[: text.index("Ses01F_impro01_F002")], "F002 has no line in"),
        (VOTES, lambda text: text[: text.index("sur") + 2], r"EmoEvaluation/.*, line 31: .*tsu'"),
        (VOTES, lambda text: text.replace("\tneu\t", "\tnue\t"), r"line 3: .*nue.* an emotion \(ang, exc"),
        (TEXTS, lambda text: text + text, r"transcriptions/.*, line 12: .*F000 is in line 1 already"),
        (VOTES, lambda text: text + text, r"EmoEvaluation/.*: .*F000 is in line 3 already"),
        (TEXTS, lambda text: text.replace("Ses01F_", "Ses01M_"), "is not a turn of Ses01F_impro01"),
        (VOTES, lambda text: text.replace("_F000", "_X000"), "'Ses01F_impro01_X000' is not a turn of"),
        (TEXTS, lambda text: "M: Yeah.\n", "the file holds no turn"),
    ],
)
def test_damaged_files_are_named(root: Path, file: str, replace: Callable[[str], str], message: str) -> None:
    change(root / file, replace)
    with refused(message):
        dialogues(root)


def test_files_in_a_wrong_or_missing_place(root: Path) -> None:
    (root / VOTES).rename(root / "kept")
    with refused(r"transcriptions/Ses01F_impro01\.txt: EmoEvaluation has no file"):
        dialogues(root)
    (root / TEXTS).rename(root / TEXTS.replace("Session1", "Session2"))
    with refused(r"Session2/dialog/transcriptions/Ses01F_.*: a file of Session2 has"):
        dialogues(root)
    (root / "Session3").rename(root / "Session33")
    message = (
        r"lacks Session3/dialog/transcriptions/Ses\*\.txt, Session3/dialog/EmoEvaluation.*must hold Session1"
    )
    with refused(message):
        load(root)


def test_it_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (None, str(tmp_path)):
        monkeypatch.delenv("EMONET_DATA", raising=False)
        if folder:
            monkeypatch.setenv("EMONET_DATA", folder)
        with refused(r"not downloaded.*licence.*sail\.usc\.edu.*EMONET_DATA.*Session1"):
            load_conversations("iemocap", cache_dir=tmp_path)
    with refused(r"neither this folder nor 'iemocap' in it has Session1 to Session5"):
        load_conversations("iemocap", tmp_path)
    builder = IEMOCAP(cache_dir=str(tmp_path / "cache"))  # as a loading script would
    with refused("iemocap is not downloaded"):
        builder.download_and_prepare()
