"""Transcripts as recorders, chats and subtitle tools write them, with their turns."""

from typing import NamedTuple


class TranscriptCase(NamedTuple):
    """A file as people have it.

    Attributes:
        name: What it stands for.
        file: Its name.
        content: Its text.
        turns: The (speaker, text) pairs that come out, blanks folded.
    """

    name: str
    file: str
    content: str
    turns: list[tuple[str, str]]


TRANSCRIPTS = [
    TranscriptCase(
        "whatsapp-android",
        "chat.txt",
        "12/05/23, 2:45\u202fPM - Anna: We won!\n"
        "12/05/23, 2:46\u202fPM - Ben: I knew it: we are the best.\n"
        "12/05/23, 2:47\u202fPM - Messages and calls are end-to-end encrypted.\n"
        "12/05/23, 2:48\u202fPM - Anna: first line\n"
        "second line of the same message\n",
        [
            ("Anna", "We won!"),
            ("Ben", "I knew it: we are the best."),
            ("Anna", "first line second line of the same message"),
        ],
    ),
    TranscriptCase(
        "stamp-before-name",
        "call.txt",
        "00:01:02 Anna: We won!\n00:01:05 Ben: At 12:30 sharp?\n",
        [("Anna", "We won!"), ("Ben", "At 12:30 sharp?")],
    ),
    TranscriptCase(
        "stamp-in-brackets",
        "call.txt",
        "[00:01:02] Anna: We won!\n[00:01:05] Ben: Great.\n",
        [("Anna", "We won!"), ("Ben", "Great.")],
    ),
    TranscriptCase(
        "stamp-behind-name",
        "call.txt",
        "Anna (00:01): We won!\nBen (00:04): Great.\n",
        [("Anna", "We won!"), ("Ben", "Great.")],
    ),
    TranscriptCase(
        "name-line-then-text",
        "otter.txt",
        "Anna Bell  0:03\nWe won! I can't believe it.\n\nBen  0:07\nGreat.\nReally great.\n",
        [("Anna Bell", "We won! I can't believe it."), ("Ben", "Great. Really great.")],
    ),
    TranscriptCase(
        "zoom-chat",
        "chat.txt",
        "00:12:01\tFrom Anna to Everyone:\n\tWe won!\n00:12:30\tFrom Ben to Everyone:\n\tGreat: at last.\n",
        [("Anna", "We won!"), ("Ben", "Great: at last.")],
    ),
    TranscriptCase(
        "webvtt-teams",
        "call.vtt",
        "WEBVTT\n"
        "\n"
        "00:00:00.000 --> 00:00:02.000\n"
        "<v Anna Bell>We won!</v>\n"
        "\n"
        "00:00:02.000 --> 00:00:04.000\n"
        "<v Ben>Great.</v>\n",
        [("Anna Bell", "We won!"), ("Ben", "Great.")],
    ),
    TranscriptCase(
        "webvtt-zoom",
        "call.vtt",
        "WEBVTT\n"
        "\n"
        "1\n"
        "00:00:00.000 --> 00:00:02.000\n"
        "Anna Bell: We won!\n"
        "\n"
        "2\n"
        "00:00:02.000 --> 00:00:04.000\n"
        "Ben: Great.\n",
        [("Anna Bell", "We won!"), ("Ben", "Great.")],
    ),
    TranscriptCase(
        "srt-whisperx",
        "call.srt",
        "1\n"
        "00:00:01,000 --> 00:00:03,000\n"
        "[SPEAKER_00]: We won!\n"
        "\n"
        "2\n"
        "00:00:03,000 --> 00:00:05,000\n"
        "[SPEAKER_01]: Great. The time is 12:30.\n",
        [("SPEAKER_00", "We won!"), ("SPEAKER_01", "Great. The time is 12:30.")],
    ),
    TranscriptCase(
        "srt-clock-in-capitals",
        "film.srt",
        "1\n"
        "00:00:01,000 --> 00:00:03,000\n"
        "THE TIME IS 12:30\n"
        "\n"
        "2\n"
        "00:00:03,000 --> 00:00:05,000\n"
        "ANNA: We won!\n",
        [("#UNKNOWN#", "THE TIME IS 12:30"), ("ANNA", "We won!")],
    ),
    TranscriptCase(
        "markdown-bold",
        "notes.md",
        "**Anna:** We won!\n\n**Ben:** Great.\n",
        [("Anna", "We won!"), ("Ben", "Great.")],
    ),
    TranscriptCase(
        "bullets",
        "notes.md",
        "- Anna: We won!\n- Ben: Great.\n",
        [("Anna", "We won!"), ("Ben", "Great.")],
    ),
    TranscriptCase(
        "captions-arrows",
        "cc.txt",
        ">> ANNA: We won!\n>> BEN: Great.\n",
        [("ANNA", "We won!"), ("BEN", "Great.")],
    ),
    TranscriptCase(
        "continuation-with-colon",
        "script.txt",
        "Anna: I have three reasons. The first\n"
        "reason: we won!\n"
        "Ben: See https://example.org/x: it is there.\n"
        "Anna: Yes.\n",
        [
            ("Anna", "I have three reasons. The first reason: we won!"),
            ("Ben", "See https://example.org/x: it is there."),
            ("Anna", "Yes."),
        ],
    ),
    TranscriptCase(
        "old-mac-line-ends",
        "script.txt",
        "Anna: We won!\rBen: Great.\r",
        [("Anna", "We won!"), ("Ben", "Great.")],
    ),
    TranscriptCase(
        "full-width-colon",
        "script.txt",
        "小明：现在12:30了，我们赢了！\n小红：太好了！\n",
        [("小明", "现在12:30了，我们赢了！"), ("小红", "太好了！")],
    ),
    TranscriptCase(
        "two-files-with-bom",
        "script.txt",
        "\ufeffInes Calderón: We won!\n\ufeffInes Calderón: Great.\n",
        [("Ines Calderón", "We won!"), ("Ines Calderón", "Great.")],
    ),
    TranscriptCase(
        "whisperx-json",
        "call.json",
        '{"segments": [{"start": 0.0, "end": 1.0, "text": " We won!", "speaker": "SPEAKER_00"}, '
        '{"start": 1.0, "end": 2.0, "text": " Great.", "speaker": "SPEAKER_01"}], "language": "en"}',
        [("SPEAKER_00", "We won!"), ("SPEAKER_01", "Great.")],
    ),
    TranscriptCase(
        "openai-messages",
        "chat.json",
        '{"messages": [{"role": "system", "content": "You are kind."}, '
        '{"role": "user", "content": "We won!"}, '
        '{"role": "assistant", "content": "Great."}]}',
        [("user", "We won!"), ("assistant", "Great.")],
    ),
    TranscriptCase(
        "csv-excel-german",
        "t.csv",
        "sep=;\r\ndialogue_id;turn;Speaker;Text\r\nd1;1,0;Anna;We won!\r\nd1;2,0;Ben;Great.\r\n;;;\r\n",
        [("Anna", "We won!"), ("Ben", "Great.")],
    ),
    TranscriptCase(
        "csv-pandas-float-turn",
        "t.csv",
        "dialogue_id,turn,speaker,text\nd1,1.0,Anna,We won!\nd1,2.0,Ben,Great.\n",
        [("Anna", "We won!"), ("Ben", "Great.")],
    ),
]
