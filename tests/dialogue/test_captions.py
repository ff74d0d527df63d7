"""Subtitles: every cue becomes a turn, and speakers are never guessed."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_serving import save_tiny_model
from turn_files import dialogues_of

from emonet.cli.main import main
from emonet.dialogue.captions import read
from emonet.dialogue.reading import UNKNOWN
from emonet.errors import DataFormatError

TIMES = "00:00:01,000 --> 00:00:02,500"
SRT = f"""1
{TIMES}
<i>MONICA: We had
a deal!</i>

2
00:00:03,000 --> 00:00:04,000 X1:40 X2:600
- I know, I know.
- Listen: stop it.

3
01:01:00.5 --> 01:01:02
{{\\an8}}MAN 2 (on the phone): Hello?
ROSS: Hi. It's 10:30.

4
01:01:03,000 --> 01:01:04,000
[door slams]
"""


def spoken_turns(text: str, name: str = "x.srt") -> list[tuple[str, str]]:
    reading = read(text, name)
    assert reading is not None
    [conversation] = reading.conversations
    return [(turn["speaker"], turn["text"]) for turn in conversation.turns]


@pytest.mark.parametrize("name", ["film.srt", "stdin"])
@pytest.mark.parametrize("text", [SRT, SRT.replace("\n", "\r\n"), "\ufeff" + SRT, "\n\n" + SRT])
def test_names_dashes_markup_and_times(name: str, text: str) -> None:
    [(_, turns)] = dialogues_of(text.encode(), name)
    assert [(turn["speaker"], turn["text"]) for turn in turns] == [
        ("MONICA", "We had a deal!"),
        (UNKNOWN, "I know, I know."),
        (UNKNOWN, "Listen: stop it."),
        ("MAN 2", "(on the phone) Hello?"),
        ("ROSS", "Hi. It's 10:30."),
        (UNKNOWN, "[door slams]"),
    ]
    assert [(turn["start"], turn["end"]) for turn in turns][2:5] == [
        (3.0, 4.0),
        (3660.5, 3662.0),
        (3660.5, 3662.0),
    ]


def test_repeated_capitalised_names_are_speakers() -> None:
    def script(*lines: str) -> str:
        return "\n\n".join(f"{number}\n{TIMES}\n{line}" for number, line in enumerate(lines, 1))

    custom = script("Monica: hi", "Ross: hello", "Monica: so", "Ross: yes", "Listen: go on")
    assert spoken_turns(custom) == [
        ("Monica", "hi"),
        ("Ross", "hello"),
        ("Monica", "so"),
        ("Ross", "yes"),
        (UNKNOWN, "Listen: go on"),
    ]
    film = script("Look: a bird", "Look: a plane", "what", "where", "who", "there it goes: up")
    assert {speaker for speaker, _ in spoken_turns(film)} == {UNKNOWN}
    assert spoken_turns(script("it's 10:30: late", "http://x.y", "♪")) == [
        (UNKNOWN, "it's 10:30: late"),
        (UNKNOWN, "http://x.y"),
        (UNKNOWN, "♪"),
    ]


def test_turns_without_a_name_have_no_speaker() -> None:
    assert spoken_turns(f"1\n{TIMES}\nANN: hi\n\n2\n{TIMES}\nand more") == [
        ("ANN", "hi"),
        (UNKNOWN, "and more"),
    ]


def test_empty_cues_and_blank_lines_are_kept() -> None:
    assert spoken_turns(f"1\n{TIMES}\n\n\n2\n{TIMES}\none\n\ntwo\n") == [(UNKNOWN, ""), (UNKNOWN, "one two")]


WORDS = st.text("abc -:.!ÄN", max_size=12).filter(lambda text: "-->" not in text)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=5))
def test_no_letter_is_lost(cues: list[list[str]]) -> None:
    text = "\n\n".join("\n".join([str(number), TIMES, *lines]) for number, lines in enumerate(cues, 1))
    turns = spoken_turns(text)
    letters = "".join(speaker.replace(UNKNOWN, "") + utterance for speaker, utterance in turns)
    wanted = "".join(letter for lines in cues for line in lines for letter in line if letter.isalpha())
    assert "".join(letter for letter in letters if letter.isalpha()) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"hello\n1\n{TIMES}\nx", "line 1: 'hello' is outside"),
        ("1\n00:00:01 -> 00:00:02\nx", "line 2: '00:00:01 -> 00:00:02' is outside"),
        (f"1\n{TIMES}\nx\n\n2\n00:01 --> oo\ny", "line 6: no times"),
    ],
)
def test_invalid_subtitles_are_named(text: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=f"x.srt, {message}"):
        dialogues_of(text.encode(), "x.srt")


def test_other_scripts_are_not_subtitles() -> None:
    assert read("Ann: hi\nBob: it starts at 00:00:01,000 --> so what", "text") is None
    assert read(f"{TIMES}\nx", "text") is not None


def test_csv_is_recognised_by_its_header() -> None:
    assert dialogues_of(b"speaker;text\nAnn;a: b\n", "the script") == [
        ("0", [{"speaker": "Ann", "text": "a: b"}])
    ]
    assert dialogues_of(b"text: speaker, text\n", "the script") == [
        ("0", [{"speaker": "text", "text": "speaker, text"}])
    ]


def test_predict_keeps_subtitle_times(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "film.srt").write_text(SRT, "utf-8")
    assert (
        main(["predict", "--model", str(save_tiny_model(tmp_path / "run")), str(tmp_path / "film.srt")]) == 0
    )
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (
        len(rows) == 6
        and rows[3]["start"] == 3660.5
        and rows[0]["speaker"] == "MONICA"
        and "label" in rows[5]
    )
