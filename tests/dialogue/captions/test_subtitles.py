"""Subtitles: every cue becomes a turn, and speakers are never guessed."""

import json
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_serving import save_tiny_model
from turn_files import dialogues_of

from emonet.cli.main import main
from emonet.dialogue.captions.subtitles import read
from emonet.dialogue.reader import read_text
from emonet.dialogue.reading import UNKNOWN
from emonet.errors import DataFormatError, EmoNetError

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


def cues(*texts: str) -> str:
    return "\n\n".join(f"{number}\n{TIMES}\n{text}" for number, text in enumerate(texts, 1)) + "\n"


ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Style: Default,Arial,not-a-number

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,timing
Dialogue: 0,0:00:03.00,0:00:05.50,Default,Ben,0,0,0,,{\\i1}Great{\\i0},\\Nreally
Dialogue: 0,0:00:01.00,0:00:03.00,Default,Anna,0,0,0,,We won!
Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}
"""
ASS_TURNS = [("Anna", "We won!"), ("Ben", "Great, really")]
WON, GREAT = "We won!", "Great."
# Name, file, content, turns.
CAPTIONS: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    (
        "teams",
        "call.vtt",
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n<v Anna Bell>We won!</v>\n\n"
        "00:00:02.000 --> 00:00:04.000\n<v Ben>Great.</v>\n",
        [("Anna Bell", WON), ("Ben", GREAT)],
    ),
    (
        "zoom",
        "call.vtt",
        "WEBVTT\n\n1\n00:00:00.000 --> 00:00:02.000\nAnna Bell: We won!\n\n"
        "2\n00:00:02.000 --> 00:00:04.000\nBen: Great.\n",
        [("Anna Bell", WON), ("Ben", GREAT)],
    ),
    (
        "several voices, classes, entities, notes, styles, identifiers, a comma, no hours",
        "call.vtt",
        "WEBVTT - Call\nKind: captions\n\nNOTE a: b\nmore\n\nSTYLE\n::cue { color: red }\n\n"
        "6a-1/12-0\n00:00.000 --> 00:02,000 align:start\n"
        "<v.loud.first Anna>We <b>won</b>!</v> <v Ben>Great.</v>\n"
        "<v Cleo>&lt;3 &amp; so</v>\n\n00:02.000 --> 00:03.000\n<v>who?</v>\n",
        [("Anna", WON), ("Ben", GREAT), ("Cleo", "<3 & so"), (UNKNOWN, "who?")],
    ),
    (
        "rolling lines of YouTube",
        "auto.vtt",
        "WEBVTT\nKind: captions\n\n00:00:00.000 --> 00:00:02.000 align:start position:0%\n \n"
        "we<00:00:01.000><c> won</c>\n\n00:00:02.000 --> 00:00:02.010 align:start\nwe won\n \n\n"
        "00:00:02.010 --> 00:00:04.000\nwe won\n&gt;&gt; great<00:00:03.000><c> day</c>\n",
        [(UNKNOWN, "we won"), (UNKNOWN, "great day")],
    ),
    (
        "two files",
        "x.vtt",
        "WEBVTT\n\n00:01.000 --> 00:02.000\na\n\nWEBVTT\n\n00:01.000 --> 00:02.000\nb\n",
        [(UNKNOWN, "a"), (UNKNOWN, "b")],
    ),
    (
        "whisperX",
        "call.srt",
        cues("[SPEAKER_00]: We won!", "[SPEAKER_01]: Great. The time is 12:30."),
        [("SPEAKER_00", WON), ("SPEAKER_01", "Great. The time is 12:30.")],
    ),
    (
        "a diarizer's label",
        "call.srt",
        cues("speaker_0: We won!", "[spk_1] Great.", "hi"),
        [("speaker_0", WON), ("spk_1", GREAT), (UNKNOWN, "hi")],
    ),
    (
        "a clock in capitals",
        "film.srt",
        cues("THE TIME IS 12:30", "ANNA: We won!"),
        [(UNKNOWN, "THE TIME IS 12:30"), ("ANNA", WON)],
    ),
    (
        "a sentence in capitals",
        "film.srt",
        cues("HE SAID: GO HOME", "WARNING: STAY OUT", "MRS. KING: We won!"),
        [(UNKNOWN, "HE SAID: GO HOME"), (UNKNOWN, "WARNING: STAY OUT"), ("MRS. KING", WON)],
    ),
    (
        "brackets",
        "film.srt",
        cues("[ANNA] We won!", "[LAUGHS] no", "[BEN] Great.", "[MUSIC]"),
        [("ANNA", WON), (UNKNOWN, "[LAUGHS] no"), ("BEN", GREAT), (UNKNOWN, "[MUSIC]")],
    ),
    ("round brackets", "film.srt", cues("(Anna) We won!", "(Ben): Great."), [("Anna", WON), ("Ben", GREAT)]),
    (
        "remarks are no names",
        "film.srt",
        cues("[HORN HONKS] Look!", "(SIGHS) So", "We won!"),
        [(UNKNOWN, "[HORN HONKS] Look!"), (UNKNOWN, "(SIGHS) So"), (UNKNOWN, WON)],
    ),
    (
        "arrows",
        "cc.srt",
        cues(">> ANNA: We won! >> BEN: Great.", ">>> Now the news."),
        [("ANNA", WON), ("BEN", GREAT), (UNKNOWN, "Now the news.")],
    ),
    (
        "dashes with names",
        "film.srt",
        cues("- ANNA: We won!\n- BEN: Great."),
        [("ANNA", WON), ("BEN", GREAT)],
    ),
    (
        "names without case",
        "film.srt",
        cues("小明：我们赢了", "小红：现在12:30了"),
        [("小明", "我们赢了"), ("小红", "现在12:30了")],
    ),
    ("a number as the last line", "film.srt", cues("It is number\n10"), [(UNKNOWN, "It is number 10")]),
    (
        "no blank lines, no numbers",
        "film.srt",
        f"{TIMES}\nANNA: We won!\n{TIMES}\nBEN: Great.",
        [("ANNA", WON), ("BEN", GREAT)],
    ),
    ("a number without its cue", "film.srt", cues(WON) + "\n2\n", [(UNKNOWN, WON)]),
    (
        "a voice in SubRip",
        "film.srt",
        cues("<v Anna>We won!", "<font color='red'>BEN: Great.</font>"),
        [("Anna", WON), ("BEN", GREAT)],
    ),
    (
        "SBV",
        "captions.sbv",
        "0:00:01.000,0:00:02.000\n>> ANNA: We won!\n\n0:00:02.000,0:00:03.000\nsure\n",
        [("ANNA", WON), (UNKNOWN, "sure")],
    ),
    ("ASS", "film.ass", ASS, ASS_TURNS),
    (
        "SSA",
        "film.ssa",
        ASS.replace("V4+", "V4").replace("Layer", "Marked").replace("ue: 0", "ue: Marked=0"),
        ASS_TURNS,
    ),
    (
        "ASS with fields of its own",
        "film.ass",
        ASS.replace("Name, MarginL, MarginR, MarginV, Effect, Text", "Actor, Text").replace(",0,0,0,,", ","),
        ASS_TURNS,
    ),
    (
        "MicroDVD",
        "film.sub",
        "{1}{1}25\n{25}{50}{y:i}ANNA: We|won!\n{50}{75}sure\n",
        [("ANNA", WON), (UNKNOWN, "sure")],
    ),
    ("MPL2", "film.txt", "[10][25] ANNA: We|/won!\n[30][40] sure\n", [("ANNA", WON), (UNKNOWN, "sure")]),
    (
        "TTML",
        "film.ttml",
        '<?xml version="1.0"?>\n<tt xmlns="http://www.w3.org/ns/ttml"><body><div>'
        '<p begin="00:00:01.000" end="00:00:02.000">ANNA: We<br/>won!</p><p begin="3s" end="4s">sure</p>'
        "</div></body></tt>",
        [("ANNA", WON), (UNKNOWN, "sure")],
    ),
]


@pytest.mark.parametrize(
    ("file", "text", "turns"), [case[1:] for case in CAPTIONS], ids=[case[0] for case in CAPTIONS]
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_captions(file: str, text: str, turns: list[tuple[str, str]], ends: str) -> None:
    text = "\ufeff" + text.replace("\n", ends)
    assert spoken_turns(text, file) == turns
    assert spoken_turns(text, "stdin") == turns


def test_notes_say_what_was_left_out() -> None:
    reading = read_text(ASS, "film.ass")
    assert reading.form == "ASS subtitles"
    assert reading.notes == ["1 comment left out", "1 drawing left out", "put in the order of time"]
    [conversation] = reading.conversations
    assert [(turn["start"], turn["end"]) for turn in conversation.turns] == [(1.0, 3.0), (3.0, 5.5)]
    assert read_text(SRT, "x.srt").notes == ["1 turn of sounds or music only"]
    frames = read_text("{25}{50}a\n{50}{75}b\n", "x.sub")
    assert frames.notes == ["no times, as the frame rate is not in the file"]
    assert "start" not in frames.conversations[0].turns[0]


def test_a_name_that_speaks_once_counts_where_every_cue_has_one() -> None:
    turns = spoken_turns(cues("Anna: a", "Ben: b", "Anna: c", "Cleo: bye", "Wait: what"))
    assert turns[3:] == [("Cleo", "bye"), (UNKNOWN, "Wait: what")]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("x.srt", f"1\n{TIMES}\nx\n\n2\n00:00:03,0", "line 6: no times in '00:00:03,0'"),
        ("x.srt", f"1\n{TIMES}\nx\n\n2\n00:00:03,000 -->", "line 6: no times"),
        ("x.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nx\n\n00:00:0", "line 6: no times in '00:00:0'"),
        ("x.srt", "1\n00:61:01,000 --> 00:00:03,000\nx", "line 2: .*not a time of a recording"),
        ("x.srt", "1\n1000000:00:01,000 --> 00:00:03,000\nx", "line 2: .*not a time of a recording"),
        ("x.srt", f"1\n{TIMES}\n00:00:01,000 to 00:00:02,000", "cue 1: .*holds two times"),
        ("x.srt", f"1\n{TIMES}\nx\n\nAnna: hi\nBen: yes", "line 5: 'Anna: hi' may belong to the cue above"),
        ("x.vtt", "WEBVTT\n\n00:00:01.000 --> x\nhi", "line 3: no times"),
        ("x.ass", ASS + "garbage\n", "line 13: 'garbage' is no cue"),
        ("x.ass", ASS + "Dialogue: 0,oops,0:00:03.00,Default,Anna,0,0,0,,hi\n", "cannot read ASS subtitles"),
        ("x.ass", ASS + "Dialogue: 0,0:00:01.00\n", "line 13: 2 fields"),
        ("x.sub", "{1}{2}a\n{3}{4}b\nAnna: hi\n", "line 3: no cue in 'Anna: hi'"),
        ("x.ttml", '<!DOCTYPE x><tt xmlns="http://www.w3.org/ns/ttml"/>', "DOCTYPE"),
        ("x.ttml", '<tt xmlns="http://www.w3.org/ns/ttml"><body><p begin="1s">hi', "cannot read TTML"),
        (
            "x.ttml",
            '<tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="9t">hi</p></div></body></tt>',
            "cannot read TTML",
        ),
    ],
)
def test_captions_that_cannot_be_read_are_refused(file: str, text: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=f"^{file}.*{message}"):
        read_text(text, file)


@pytest.mark.parametrize(
    ("file", "text", "library"), [("x.srt", SRT, "pysubs2"), ("x.vtt", SRT, "webvtt-py")]
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, file: str, text: str, library: str
) -> None:
    monkeypatch.setattr(f"emonet.dialogue.captions.cues.{library.removesuffix('-py')}", None)
    with pytest.raises(EmoNetError, match=f"pip install {library}"):
        read(text, file)


@pytest.mark.parametrize("piece", ["<v ", "{", "(", "[", "♪#", " ", "1", "A:", "a\n", ">>", "-->", "&#1"])
def test_hostile_subtitles_are_read_or_refused_in_seconds(piece: str) -> None:
    text = f"1\n{TIMES}\na" + piece * (200_000 // len(piece))
    started = monotonic()
    for file in ("x.srt", "x.vtt", "x.ass", "x.sub"):
        with suppress(DataFormatError):
            read(text, file)
    assert monotonic() - started < 60  # quadratic time would be hours
