"""The JSON of speech recognisers: every segment a turn, in order, with its speaker."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recogniser_samples import (
    ASSEMBLY,
    AWS_LABELS,
    AWS_SPEAKERS,
    AWS_TEXT,
    AZURE,
    CHUNKS,
    DEEPGRAM_WORDS,
    DIARIZED,
    ELEVEN,
    GOOGLE,
    GOOGLE_2,
    PARAGRAPHS,
    REV,
    SONIOX,
    SPEECHMATICS,
    TEAMS,
    WHISPER,
    WHISPER_CPP,
    WHISPERX,
    WORDS,
    aws,
    aws_item,
    deepgram,
    result,
    rev_text,
    word,
)

from emonet.dialogue.names import clean_name
from emonet.dialogue.reader import read_text
from emonet.dialogue.reading import UNKNOWN, Reading
from emonet.errors import DataFormatError


def read(document: Any, name: str = "call.json") -> Reading:
    return read_text(document if isinstance(document, str) else json.dumps(document), name)


def pairs(reading: Reading) -> list[tuple[str, str]]:
    return [(turn["speaker"], turn["text"]) for found in reading.conversations for turn in found.turns]


def times(reading: Reading) -> list[tuple[Any, Any]]:
    return [(turn.get("start"), turn.get("end")) for found in reading.conversations for turn in found.turns]


@pytest.mark.parametrize(
    ("document", "form", "speakers"),
    [
        (WHISPERX, "whisperX JSON", ("SPEAKER_00", UNKNOWN)),
        (WHISPERX["segments"], "whisperX JSON", ("SPEAKER_00", UNKNOWN)),
        (WHISPER, "Whisper JSON", (UNKNOWN, UNKNOWN)),
        ({**WHISPER, "task": "transcribe", "duration": 2.5}, "OpenAI transcription JSON", (UNKNOWN, UNKNOWN)),
        (DIARIZED, "OpenAI transcription JSON", ("A", "Ben")),
        (ASSEMBLY, "AssemblyAI JSON", ("A", "B")),
        (deepgram({"words": DEEPGRAM_WORDS}), "Deepgram JSON", ("0", "1")),
        (aws(items=[], audio_segments=[]), "Amazon Transcribe JSON", None),
        (
            aws(
                items=[aws_item(*item, speaker) for item, speaker in zip(AWS_TEXT, AWS_SPEAKERS, strict=True)]
            ),
            "Amazon Transcribe JSON",
            ("spk_0", "spk_1"),
        ),
        (
            aws(items=[aws_item(*item) for item in AWS_TEXT], speaker_labels=AWS_LABELS),
            "Amazon Transcribe JSON",
            ("spk_0", "spk_1"),
        ),
        (
            aws(
                items=[aws_item(*item) for item in AWS_TEXT],
                speaker_labels=AWS_LABELS,
                audio_segments=[
                    {
                        "id": 0,
                        "transcript": "We won!",
                        "start_time": "0.0",
                        "end_time": "0.9",
                        "speaker_label": "spk_0",
                        "items": [0, 1, 2],
                    },
                    {
                        "id": 1,
                        "transcript": "Great.",
                        "start_time": "1.3",
                        "end_time": "1.7",
                        "speaker_label": "spk_1",
                        "items": [3, 4],
                    },
                ],
            ),
            "Amazon Transcribe JSON",
            ("spk_0", "spk_1"),
        ),
        (AZURE, "Azure transcription JSON", ("1", "2")),
        (TEAMS, "Teams transcript JSON", ("Anna Bell", "Ben")),
        (GOOGLE, "Google Speech-to-Text JSON", ("1", "2")),
        ({"response": GOOGLE_2, "done": True}, "Google Speech-to-Text JSON", ("1", "2")),
        ({"results": GOOGLE["results"][:2]}, "Google Speech-to-Text JSON", (UNKNOWN, UNKNOWN)),
        (REV, "Rev AI JSON", ("0", "1")),
        ({**REV, "speakers": [{"id": 0, "name": "Anna"}]}, "Rev AI JSON", ("Anna", "1")),
        (ELEVEN, "ElevenLabs JSON", ("speaker_0", "speaker_1")),
        (SPEECHMATICS, "Speechmatics JSON", ("S1", "S2")),
        (SONIOX, "Soniox JSON", ("1", "2")),
        (WHISPER_CPP, "whisper.cpp JSON", (UNKNOWN, UNKNOWN)),
        (CHUNKS, "transformers transcription JSON", (UNKNOWN, UNKNOWN)),
    ],
)
def test_two_turns_of_each_recogniser(document: Any, form: str, speakers: Any) -> None:
    reading = read(document)
    assert reading.form == form
    if speakers is None:  # one transcript, without a speaker
        assert pairs(reading) == [(UNKNOWN, "We won! Great.")]
    else:
        assert pairs(reading) == [(speakers[0], "We won!"), (speakers[1], "Great.")]
    missing = [speaker for speaker in speakers or (UNKNOWN,) if speaker == UNKNOWN]
    assert bool(missing) == any("without a speaker" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (WHISPERX, [(0.031, 1.2), (1.3, 2.0)]),
        (ASSEMBLY, [(0.0, 1.0), (1.25, 2.0)]),
        (deepgram({"words": DEEPGRAM_WORDS}), [(0.0, 0.9), (1.3, 2.0)]),
        (AZURE, [(0.5, 1.5), (61.5, 62.0)]),
        (TEAMS, [(1.5, 2.0), (3.0, 4.0)]),
        (GOOGLE, [(0.0, 0.5), (1.3, 1.3)]),
        (REV, [(0.0, 0.9), (1.3, 1.7)]),
        (SONIOX, [(0.0, 0.9), (1.3, 2.0)]),
        (WHISPER_CPP, [(0.0, 1.0), (1.0, 2.5)]),
        (CHUNKS, [(0.0, 1.0), (1.0, None)]),
        (
            aws(items=[aws_item(*item) for item in AWS_TEXT], speaker_labels=AWS_LABELS),
            [(0.0, 0.9), (1.3, 1.7)],
        ),
    ],
)
def test_times_are_in_seconds(document: Any, expected: list[tuple[float, float]]) -> None:
    assert times(read(document)) == expected


@pytest.mark.parametrize(
    "document",
    [
        {"word_segments": WORDS},
        {"segments": [{"start": 0.0, "end": 1.9, "text": " We won! Great, no?", "words": WORDS}]},
        {"segments": [{"start": 0.0, "end": 0.9, "words": WORDS[:2]}, {"words": WORDS[2:]}]},
        {
            "utterances": None,
            "text": "We won! Great, no?",
            "words": [
                {**item, "text": item["word"], "start": int(item["start"] * 1000), "end": 0} for item in WORDS
            ],
        },
    ],
)
def test_words_are_merged_into_turns(document: Any) -> None:
    assert pairs(read(document)) == [("A", "We won!"), ("B", "Great, no?")]


def test_the_first_words_without_a_speaker_belong_to_the_next() -> None:
    words = [word("So", 0.0), word("we", 0.1, "A"), word("won", 0.2)]
    assert pairs(read({"word_segments": words})) == [("A", "So we won")]
    assert pairs(read({"word_segments": words[:1]})) == [(UNKNOWN, "So")]


def test_words_of_scripts_without_blanks_are_joined_without() -> None:
    words = [word(text, 0.0, "A") for text in ("我", "们", "赢", "了", "GPT", "好")]
    assert pairs(read({"word_segments": words})) == [("A", "我们赢了 GPT 好")]


def test_segments_of_one_speaker_stay_apart() -> None:
    segments = [{"start": 0.0, "end": 1.0, "text": text, "speaker": "A"} for text in ("one", "two")]
    assert pairs(read({"segments": segments})) == [("A", "one"), ("A", "two")]


def test_a_segment_without_text_is_left_out_and_counted() -> None:
    segments = [{"start": 0, "end": 1, "text": " ", "speaker": "A"}, WHISPERX["segments"][0]]  # type: ignore[index]
    reading = read({"segments": segments})
    assert len(pairs(reading)) == 1 and reading.notes == ["1 segment without text left out"]


def test_deepgram_in_paragraphs_utterances_and_channels() -> None:
    expected = [("0", "We won! At last."), ("1", "Great.")]
    assert pairs(read(deepgram({"words": DEEPGRAM_WORDS, "paragraphs": PARAGRAPHS}))) == expected
    utterances = [
        {"start": 0.0, "end": 0.9, "channel": 0, "transcript": "We won!", "words": [], "speaker": 0},
        {"start": 1.3, "end": 2.0, "channel": 0, "transcript": "Great.", "words": [], "speaker": 1},
    ]
    found = read(deepgram({"words": DEEPGRAM_WORDS}, utterances=utterances))
    assert pairs(found) == [("0", "We won!"), ("1", "Great.")]
    assert pairs(read({"results": {"utterances": utterances}})) == [("0", "We won!"), ("1", "Great.")]
    assert pairs(read(deepgram({}))) == [(UNKNOWN, "We won! Great.")]


def test_channels_are_speakers_and_their_turns_in_time() -> None:
    def channel(*turns: tuple[float, str]) -> dict[str, Any]:
        words = [{"word": text, "start": start, "end": start + 0.1} for start, text in turns]
        paragraphs = [
            {"sentences": [{"text": text}], "start": start, "end": start + 0.1} for start, text in turns
        ]
        inner = {"transcript": "", "paragraphs": paragraphs}
        return {"alternatives": [{"transcript": "x", "words": words, "paragraphs": inner}]}

    both = {"results": {"channels": [channel((0.0, "one"), (2.0, "three")), channel((1.0, "two"))]}}
    assert pairs(read(both)) == [("0", "one"), ("1", "two"), ("0", "three")]
    phrases = [
        {**phrase, "channel": index, "speaker": None}
        for index, phrase in enumerate(AZURE["recognizedPhrases"][::-1])  # type: ignore[index]
    ]
    assert pairs(read({"recognizedPhrases": phrases})) == [("1", "We won!"), ("0", "Great.")]


def test_what_azure_did_not_recognise_is_counted() -> None:
    failed = {"recognitionStatus": "InitialSilenceTimeout", "channel": 0, "nBest": []}
    reading = read({"recognizedPhrases": [failed, *AZURE["recognizedPhrases"]]})  # type: ignore[misc]
    assert len(pairs(reading)) == 2
    assert reading.notes == ["1 phrase that was not recognised left out"]
    fast = {
        "combinedPhrases": [{"text": "We won! Great."}],
        "phrases": [
            {"speaker": 1, "offsetMilliseconds": 960, "durationMilliseconds": 640, "text": "We won!"},
            {"speaker": 2, "offsetMilliseconds": 1800, "durationMilliseconds": 200, "text": "Great."},
        ],
    }
    assert pairs(read(fast)) == [("1", "We won!"), ("2", "Great.")] and times(read(fast))[0] == (0.96, 1.6)


def test_call_analytics_and_events() -> None:
    calls = {
        "Transcript": [
            {"ParticipantRole": "AGENT", "Content": "We won!", "BeginOffsetMillis": 0, "EndOffsetMillis": 900}
        ]
    }
    assert pairs(read(calls)) == [("AGENT", "We won!")] and times(read(calls)) == [(0.0, 0.9)]
    assert read(ELEVEN).notes == ["1 audio event left out"]


def test_a_transcript_a_line_is_a_dialogue_a_line() -> None:
    lines = "\n".join(json.dumps(document) for document in (WHISPERX, WHISPERX))
    reading = read(lines, "calls.jsonl")
    assert [found.dialogue_id for found in reading.conversations] == ["0", "1"]
    assert len(pairs(reading)) == 4


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"segments": [{"text": 5, "start": 0, "end": 1}]}, "segment 1, text: expected a string, got 5"),
        ({"segments": ["We won!"]}, "segment 1: expected an object"),
        ({"segments": [{"text": "a", "speaker": True}]}, "segment 1, speaker: expected a name, got True"),
        ({"recognizedPhrases": [{"nBest": 5}]}, "recognizedPhrases 1, nBest: expected a list"),
        ({"recognizedPhrases": []}, "Azure transcription JSON without a turn"),
        ({"results": {"items": [{}]}}, "items 1, alternatives: expected a list"),
        ({"monologues": [{"elements": 1}]}, "monologue 1, elements: expected a list"),
    ],
)
def test_a_damaged_transcript_names_its_segment(document: Any, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read(document)


NAMES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8).map(clean_name).filter(bool)
TOKEN = st.text(st.characters(categories=("Ll", "P"), max_codepoint=0x24F), min_size=1, max_size=6)
TEXTS = st.lists(TOKEN, min_size=1, max_size=4).map(" ".join)
TURNS = st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=6)


def _changing(turns: list[tuple[str, str]]) -> bool:
    return all(one[0] != two[0] for one, two in pairwise(turns))


def _all_words(turns: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"word": item, "text": item, "start": 0.0, "end": 0.5, "speaker": name}
        for name, text in turns
        for item in text.split(" ")
    ]


SEGMENT_WRITERS = {
    "whisperX": lambda turns: {"segments": [{"start": 0.0, "text": f" {t}", "speaker": n} for n, t in turns]},
    "AssemblyAI": lambda turns: {"utterances": [{"start": 0, "text": t, "speaker": n} for n, t in turns]},
    "Deepgram": lambda turns: {
        "results": {"utterances": [{"channel": 0, "transcript": t, "speaker": n} for n, t in turns]}
    },
    "AWS": lambda turns: aws(audio_segments=[{"transcript": t, "speaker_label": n} for n, t in turns]),
    "Azure": lambda turns: {
        "recognizedPhrases": [{"channel": 0, "speaker": n, "nBest": [{"display": t}]} for n, t in turns]
    },
    "Teams": lambda turns: {"entries": [{"text": t, "speakerDisplayName": n} for n, t in turns]},
    "Rev": lambda turns: {"monologues": [{"speaker": n, "elements": [rev_text(t, 0.0)]} for n, t in turns]},
}
WORD_WRITERS = {
    "whisperX": lambda turns: {"word_segments": _all_words(turns)},
    "Deepgram": lambda turns: deepgram({"words": _all_words(turns)}),
    "Google": lambda turns: {
        "results": [
            {
                "alternatives": [
                    {"words": [{**item, "speakerLabel": item["speaker"]} for item in _all_words(turns)]}
                ]
            }
        ]
    },
    "AWS": lambda turns: aws(
        items=[aws_item(item["word"], "0.0", item["speaker"]) for item in _all_words(turns)]
    ),
    "Speechmatics": lambda turns: {
        "results": [result(item["word"], 0.0, item["speaker"]) for item in _all_words(turns)]
    },
}


@pytest.mark.parametrize("form", SEGMENT_WRITERS)
@given(turns=TURNS)
def test_written_and_read_again_in_segments(form: str, turns: list[tuple[str, str]]) -> None:
    assert pairs(read(SEGMENT_WRITERS[form](turns))) == turns


@pytest.mark.parametrize("form", WORD_WRITERS)
@given(turns=TURNS.filter(_changing))
def test_written_and_read_again_in_words(form: str, turns: list[tuple[str, str]]) -> None:
    assert pairs(read(WORD_WRITERS[form](turns))) == turns
