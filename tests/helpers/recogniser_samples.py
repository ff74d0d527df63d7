"""Two turns as speech recognisers write them in JSON, after their documented schemas."""

from typing import Any


def word(text: str, start: float, speaker: Any = None, key: str = "word") -> dict[str, Any]:
    found = {key: text, "start": start, "end": start + 0.4, "score": 0.9}
    return found if speaker is None else {**found, "speaker": speaker}


WHISPERX = {
    "segments": [
        {
            "start": 0.031,
            "end": 1.2,
            "text": " We won!",
            "words": [word("We", 0.031, "SPEAKER_00"), word("won!", 0.5, "SPEAKER_00")],
            "speaker": "SPEAKER_00",
        },
        {"start": 1.3, "end": 2.0, "text": " Great."},
    ],
    "word_segments": [word("We", 0.031, "SPEAKER_00"), word("won!", 0.5, "SPEAKER_00"), word("Great.", 1.3)],
    "language": "en",
}
WORDS = [word("We", 0.0, "A"), word("won!", 0.5), word("Great,", 1.0, "B"), word("no?", 1.5, "B")]
WHISPER = {
    "text": " We won! Great.",
    "segments": [
        {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": 1.0,
            "text": " We won!",
            "tokens": [1],
            "avg_logprob": -0.2,
        },
        {"id": 1, "seek": 0, "start": 1.0, "end": 2.5, "text": " Great.", "tokens": [2], "avg_logprob": -0.3},
    ],
    "language": "en",
}
DIARIZED = {
    "task": "transcribe",
    "duration": 2.5,
    "text": "We won! Great.",
    "segments": [
        {
            "type": "transcript.text.segment",
            "id": "seg_1",
            "start": 0.0,
            "end": 1.0,
            "text": "We won!",
            "speaker": "A",
        },
        {
            "type": "transcript.text.segment",
            "id": "seg_2",
            "start": 1.0,
            "end": 2.5,
            "text": " Great.",
            "speaker": "Ben",
        },
    ],
    "usage": {"type": "duration", "seconds": 3},
}
ASSEMBLY = {
    "id": "5551722-f677",
    "status": "completed",
    "text": "We won! Great.",
    "words": [],
    "utterances": [
        {"confidence": 0.9, "start": 0, "end": 1000, "text": "We won!", "speaker": "A", "words": []},
        {"confidence": 0.9, "start": 1250, "end": 2000, "text": "Great.", "speaker": "B", "words": []},
    ],
    "audio_duration": 2,
}
DEEPGRAM_WORDS = [
    {"word": "we", "start": 0.0, "end": 0.4, "speaker": 0, "punctuated_word": "We"},
    {"word": "won", "start": 0.5, "end": 0.9, "speaker": 0, "punctuated_word": "won!"},
    {"word": "great", "start": 1.3, "end": 2.0, "speaker": 1, "punctuated_word": "Great."},
]


def deepgram(alternative: dict[str, Any], **results: Any) -> dict[str, Any]:
    found = {"transcript": "We won! Great.", "confidence": 0.9, **alternative}
    return {"metadata": {"channels": 1}, "results": {"channels": [{"alternatives": [found]}], **results}}


PARAGRAPHS = {
    "transcript": "\nSpeaker 0: We won! …",
    "paragraphs": [
        {
            "sentences": [
                {"text": "We won!", "start": 0.0, "end": 0.5},
                {"text": "At last.", "start": 0.5, "end": 0.9},
            ],
            "start": 0.0,
            "end": 0.9,
            "num_words": 4,
            "speaker": 0,
        },
        {
            "sentences": [{"text": "Great.", "start": 1.3, "end": 2.0}],
            "start": 1.3,
            "end": 2.0,
            "num_words": 1,
            "speaker": 1,
        },
    ],
}


def aws_item(text: str, start: str | None, speaker: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"alternatives": [{"confidence": "1.0", "content": text}]}
    if start is None:
        item["type"] = "punctuation"
    else:
        item.update(type="pronunciation", start_time=start, end_time=str(float(start) + 0.4))
    return item if speaker is None else {**item, "speaker_label": speaker}


AWS_TEXT = [("We", "0.0"), ("won", "0.5"), ("!", None), ("Great", "1.3"), (".", None)]
AWS_SPEAKERS = ["spk_0", "spk_0", "spk_0", "spk_1", "spk_1"]
AWS_LABELS = {
    "speakers": 2,
    "segments": [
        {
            "start_time": "0.0",
            "end_time": "0.9",
            "speaker_label": "spk_0",
            "items": [
                {"start_time": "0.0", "end_time": "0.4", "speaker_label": "spk_0"},
                {"start_time": "0.5", "end_time": "0.9", "speaker_label": "spk_0"},
            ],
        },
        {
            "start_time": "1.3",
            "end_time": "1.7",
            "speaker_label": "spk_1",
            "items": [{"start_time": "1.3", "end_time": "1.7", "speaker_label": "spk_1"}],
        },
    ],
}


def aws(**results: Any) -> dict[str, Any]:
    return {
        "jobName": "job",
        "accountId": "111122223333",
        "results": {"transcripts": [{"transcript": "We won! Great."}], **results},
        "status": "COMPLETED",
    }


AZURE = {
    "source": "call.wav",
    "durationInTicks": 25000000,
    "combinedRecognizedPhrases": [{"channel": 0, "display": "We won! Great."}],
    "recognizedPhrases": [
        {
            "recognitionStatus": "Success",
            "channel": 0,
            "speaker": 1,
            "offset": "PT0.5S",
            "duration": "PT1S",
            "offsetInTicks": 5000000.0,
            "durationInTicks": 10000000.0,
            "nBest": [
                {"confidence": 0.9, "lexical": "we won", "itn": "we won", "display": "We won!"},
                {"confidence": 0.4, "lexical": "we one", "itn": "we 1", "display": "We one!"},
            ],
        },
        {
            "recognitionStatus": "Success",
            "channel": 0,
            "speaker": 2,
            "offset": "PT1M1.5S",
            "duration": "PT0.5S",
            "nBest": [{"confidence": 0.9, "lexical": "great", "display": "Great."}],
        },
    ],
}
TEAMS = {
    "$schema": "http://stream.office.com/schemas/transcript.json",
    "version": "1.0.0",
    "type": "Transcript",
    "entries": [
        {
            "id": "1",
            "text": "We won!",
            "speakerId": "u1",
            "speakerDisplayName": "Anna Bell",
            "confidence": 0.9,
            "startOffset": "00:00:01.5000000",
            "endOffset": "00:00:02",
        },
        {
            "id": "2",
            "text": "Great.",
            "speakerId": "u2",
            "speakerDisplayName": "Ben",
            "confidence": 0.9,
            "startOffset": "00:00:03",
            "endOffset": "00:00:04",
        },
    ],
    "events": [{"id": "3", "eventType": "CallStarted", "startOffset": "00:00:00"}],
}


def google_word(text: str, start: str, tag: Any = None, key: str = "speakerTag") -> dict[str, Any]:
    found = {"word": text, "startTime": start, "endTime": start}
    return found if tag is None else {**found, key: tag}


GOOGLE_PLAIN = [google_word("We", "0s"), google_word("won!", "0.500s"), google_word("Great.", "1.300s")]
GOOGLE = {
    "results": [
        {"alternatives": [{"transcript": "We won!", "words": GOOGLE_PLAIN[:2]}]},
        {"alternatives": [{"transcript": " Great.", "words": GOOGLE_PLAIN[2:]}]},
        {
            "alternatives": [
                {
                    "words": [
                        google_word("We", "0s", 1),
                        google_word("won!", "0.500s", 1),
                        google_word("Great.", "1.300s", 2),
                    ]
                }
            ]
        },
    ]
}
GOOGLE_2 = {
    "results": [
        {
            "alternatives": [
                {
                    "transcript": "We won!",
                    "words": [
                        google_word("We", "0s", "1", "speakerLabel"),
                        google_word("won!", "0.5s", "1", "speakerLabel"),
                    ],
                }
            ]
        },
        {
            "alternatives": [
                {"transcript": "Great.", "words": [google_word("Great.", "1.3s", "2", "speakerLabel")]}
            ]
        },
    ]
}


def rev_text(value: str, ts: float) -> dict[str, Any]:
    return {"type": "text", "value": value, "ts": ts, "end_ts": ts + 0.4, "confidence": 1.0}


BLANK = {"type": "punct", "value": " "}
REV = {
    "monologues": [
        {
            "speaker": 0,
            "elements": [rev_text("We", 0.0), BLANK, rev_text("won", 0.5), {"type": "punct", "value": "!"}],
        },
        {"speaker": 1, "elements": [rev_text("Great", 1.3), {"type": "punct", "value": "."}]},
    ]
}


def token(text: str, start: float, speaker: str, kind: str = "word") -> dict[str, Any]:
    return {"text": text, "start": start, "end": start + 0.1, "type": kind, "speaker_id": speaker}


ELEVEN = {
    "language_code": "eng",
    "text": "We won! Great.",
    "words": [
        token("We", 0.0, "speaker_0"),
        token(" ", 0.4, "speaker_0", "spacing"),
        token("won!", 0.5, "speaker_0"),
        token(" ", 0.9, "speaker_0", "spacing"),
        token("(laughs)", 1.0, "speaker_1", "audio_event"),
        token("Great.", 1.3, "speaker_1"),
    ],
}


def result(text: str, start: float, speaker: str, kind: str = "word") -> dict[str, Any]:
    found = {"type": kind, "start_time": start, "end_time": start, "alternatives": [{"content": text}]}
    found["alternatives"][0]["speaker"] = speaker  # type: ignore[index]
    return found


SPEECHMATICS = {
    "format": "2.9",
    "results": [
        result("We", 0.0, "S1"),
        result("won", 0.5, "S1"),
        {**result("!", 0.9, "S1", "punctuation"), "attaches_to": "previous"},
        result("Great", 1.3, "S2"),
        {**result(".", 2.0, "S2", "punctuation"), "attaches_to": "previous"},
    ],
}
SONIOX = {
    "tokens": [
        {"text": "We", "start_ms": 0, "end_ms": 400, "speaker": "1"},
        {"text": " won!", "start_ms": 500, "end_ms": 900, "speaker": "1"},
        {"text": " Great.", "start_ms": 1300, "end_ms": 2000, "speaker": "2"},
    ]
}
WHISPER_CPP = {
    "result": {"language": "en"},
    "transcription": [
        {
            "timestamps": {"from": "00:00:00,000", "to": "00:00:01,000"},
            "offsets": {"from": 0, "to": 1000},
            "text": " We won!",
        },
        {
            "timestamps": {"from": "00:00:01,000", "to": "00:00:02,500"},
            "offsets": {"from": 1000, "to": 2500},
            "text": " Great.",
        },
    ],
}
CHUNKS = {
    "text": " We won! Great.",
    "chunks": [{"timestamp": [0.0, 1.0], "text": " We won!"}, {"timestamp": [1.0, None], "text": " Great."}],
}
