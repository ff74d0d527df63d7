"""The JSON of chats: what is said, by whom, in order; the rest is counted."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonet.dialogue.names import clean_name
from emonet.dialogue.reader import read_text
from emonet.dialogue.reading import UNKNOWN, Reading
from emonet.errors import DataFormatError


def read(document: Any, name: str = "chat.json") -> Reading:
    return read_text(document if isinstance(document, str) else json.dumps(document), name)


def pairs(reading: Reading) -> list[tuple[str, str]]:
    return [(turn["speaker"], turn["text"]) for found in reading.conversations for turn in found.turns]


MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "You are kind."},
    {"role": "developer", "content": "Be short."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "We won!"}, {"type": "image_url", "image_url": {}}],
    },
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
    {"role": "tool", "tool_call_id": "1", "content": "3:1"},
    {"role": "assistant", "content": "Great."},
]
CHAT_NOTES = [
    "1 system message left out",
    "1 developer message left out",
    "1 message without text left out",
    "1 tool message left out",
]


@pytest.mark.parametrize("document", [{"messages": MESSAGES}, MESSAGES, {"model": "m", "messages": MESSAGES}])
def test_chat_messages_without_what_nobody_says(document: Any) -> None:
    reading = read(document)
    assert reading.form == "chat messages" and reading.notes == CHAT_NOTES
    assert pairs(reading) == [("user", "We won!"), ("assistant", "Great.")]
    assert "1 system message left out" in reading.summary()


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "user", "name": "Anna", "content": "We won!"}], [("Anna", "We won!")]),
        ([{"role": "user", "parts": [{"text": "We won!"}]}], [("user", "We won!")]),
        ([{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}], [("assistant", "No.")]),
        ([{"role": "user", "content": ["We", "won!"]}], [("user", "We\nwon!")]),
        ([{"role": "bot", "message": "We won!", "time": 1.0}], [("bot", "We won!")]),
        ([{"role": "user", "content": ""}], [("user", "")]),
        ([{"role": "Anna", "content": "We won!"}], [("Anna", "We won!")]),
    ],
)
def test_every_dress_of_a_message(messages: Any, expected: list[tuple[str, str]]) -> None:
    assert pairs(read({"messages": messages})) == expected


def test_a_list_of_turns_under_role_is_no_chat() -> None:
    turns = [{"role": "Anna", "content": "We won!"}, {"role": "system", "content": "Great."}]
    assert pairs(read(turns)) == [("Anna", "We won!"), ("system", "Great.")]
    labelled = [{"role": "system", "content": "Great.", "emotion": "joy"}]
    assert pairs(read(labelled)) == [("system", "Great.")]


SHARE = {
    "id": "abc",
    "conversations": [
        {"from": "system", "value": "You are kind."},
        {"from": "human", "value": "We won!"},
        {"from": "gpt", "value": "Great."},
    ],
}


def test_each_conversation_of_sharegpt_is_a_dialogue() -> None:
    other = {"id": 7, "conversations": SHARE["conversations"]}
    for document in ([SHARE, other], "\n".join(map(json.dumps, [SHARE, other]))):
        reading = read(document)
        assert [found.dialogue_id for found in reading.conversations] == ["abc", "7"]
        assert pairs(reading) == [("human", "We won!"), ("gpt", "Great.")] * 2
        assert reading.form == "ShareGPT JSON" and reading.notes == ["2 system messages left out"]
    assert read(SHARE).conversations[0].dialogue_id == "abc"
    numbered = read([SHARE, SHARE])
    assert [found.dialogue_id for found in numbered.conversations] == ["0", "1"]
    assert "ids that repeat: dialogues are numbered" in numbered.notes


def test_fine_tuning_files_are_a_dialogue_a_line() -> None:
    reading = read("\n".join(json.dumps({"messages": MESSAGES}) for _ in range(3)) + "\n", "train.jsonl")
    assert len(reading.conversations) == 3 and "3 system messages left out" in reading.notes


TELEGRAM = {
    "name": "Anna & Ben",
    "type": "personal_chat",
    "id": 4711,
    "messages": [
        {"id": 1, "type": "service", "date": "2023-05-12T14:45:00", "action": "phone_call", "text": ""},
        {
            "id": 2,
            "type": "message",
            "date": "2023-05-12T14:46:00",
            "from": "Anna",
            "from_id": "user1",
            "text": ["See ", {"type": "link", "text": "https://example.org"}, ": we won!"],
        },
        {
            "id": 3,
            "type": "message",
            "date": "2023-05-12T14:47:00",
            "from": None,
            "from_id": "user2",
            "text": "Great.",
        },
        {
            "id": 4,
            "type": "message",
            "date": "2023-05-12T14:48:00",
            "from": "Anna",
            "from_id": "user1",
            "photo": "photo.jpg",
            "text": "",
        },
    ],
}


def test_telegram_with_entities_services_and_photos() -> None:
    expected = [("Anna", "See https://example.org: we won!"), (UNKNOWN, "Great.")]
    reading = read(TELEGRAM, "result.json")
    assert reading.form == "Telegram JSON" and reading.conversations[0].dialogue_id == "4711"
    assert pairs(reading) == expected
    assert reading.notes == [
        "1 service message left out",
        "1 message without text left out",
        "1 turn without a speaker",
    ]
    account = {"about": "…", "chats": {"about": "…", "list": [TELEGRAM, {**TELEGRAM, "id": 2}]}}
    assert [found.dialogue_id for found in read(account).conversations] == ["4711", "2"]


SLACK: list[dict[str, Any]] = [
    {
        "type": "message",
        "subtype": "channel_join",
        "user": "U1",
        "text": "<@U1> has joined",
        "ts": "1683902700.0001",
    },
    {
        "type": "message",
        "user": "U1",
        "text": "We won &amp; <https://example.org|how>!",
        "ts": "1683902701.0001",
        "user_profile": {"real_name": "Anna Bell", "display_name": "", "name": "anna"},
    },
    {"type": "message", "user": "U2", "text": "Great.", "ts": "1683902702.0001"},
]


def test_slack_from_the_export_and_from_the_interface() -> None:
    expected = [("Anna Bell", "We won & how!"), ("U2", "Great.")]
    assert pairs(read(SLACK)) == expected
    assert read(SLACK).notes == ["1 system message left out"]
    newest_first = read({"ok": True, "messages": SLACK[::-1], "has_more": False})
    assert pairs(newest_first) == expected
    assert "newest first in the file, read from the oldest" in newest_first.notes


def test_discord_exporter() -> None:
    def message(kind: str, text: str, **author: Any) -> dict[str, Any]:
        return {
            "id": "1",
            "type": kind,
            "timestamp": "2023-05-12T14:45:00+00:00",
            "content": text,
            "author": {"id": "9", "name": "anna_b", "isBot": False, **author},
            "attachments": [],
        }

    document = {
        "guild": {"id": "0", "name": "G"},
        "channel": {"id": "5", "name": "general"},
        "messages": [
            message("GuildMemberJoin", "Joined the server."),
            message("Default", "We won!", nickname="Anna"),
            message("Reply", "Great.", nickname=None),
            message("Default", ""),
        ],
        "messageCount": 4,
    }
    reading = read(document)
    assert reading.form == "Discord JSON"
    assert pairs(reading) == [("Anna", "We won!"), ("anna_b", "Great.")]
    assert reading.notes == ["1 system message left out", "1 message without text left out"]


def test_teams_chat_newest_first_in_html() -> None:
    def message(day: int, name: str | None, content: str, kind: str = "message") -> dict[str, Any]:
        sender = None if name is None else {"application": None, "user": {"id": "u", "displayName": name}}
        return {
            "id": str(day),
            "messageType": kind,
            "createdDateTime": f"2023-05-1{day}T14:45:00Z",
            "from": sender,
            "body": {"contentType": "html", "content": content},
        }

    document = {
        "@odata.context": "https://graph.example.org",
        "value": [
            message(3, "Ben", "<p>Great.</p>"),
            message(2, "Anna Bell", "<div>We <b>won</b> &amp; won!</div>"),
            message(1, None, "<systemEventMessage/>", "systemEventMessage"),
        ],
    }
    reading = read(document)
    assert reading.form == "Teams chat JSON"
    assert pairs(reading) == [("Anna Bell", "We won & won!"), ("Ben", "Great.")]


def test_other_messengers() -> None:
    facebook = {
        "participants": [{"name": "Anna"}],
        "messages": [
            {"sender_name": "Zo\u00c3\u00ab", "timestamp_ms": 2, "content": "Great \u00e2\u009c\u0093"},
            {"sender_name": "Anna", "timestamp_ms": 1, "content": "We won!"},
        ],
    }
    assert pairs(read(facebook)) == [("Anna", "We won!"), ("Zoë", "Great ✓")]
    google = {"messages": [{"creator": {"name": "Anna", "email": "a@example.org"}, "text": "We won!"}]}
    assert pairs(read(google)) == [("Anna", "We won!")]
    matrix = {
        "room_name": "R",
        "messages": [
            {"type": "m.room.member", "sender": "@a:example.org", "content": {"membership": "join"}},
            {"type": "m.room.message", "sender": "@a:example.org", "content": {"body": "We won!"}},
        ],
    }
    assert pairs(read(matrix)) == [("@a:example.org", "We won!")]
    claude = [{"uuid": "c1", "chat_messages": [{"sender": "human", "text": "We won!", "content": []}]}]
    assert pairs(read(claude)) == [("human", "We won!")]


def test_chatgpt_reads_the_branch_that_is_shown() -> None:
    def node(parent: str | None, role: str, *parts: str) -> dict[str, Any]:
        content = {"content_type": "text", "parts": list(parts)}
        return {"parent": parent, "message": {"author": {"role": role}, "content": content}}

    document = [
        {
            "title": "T",
            "conversation_id": "c1",
            "current_node": "d",
            "mapping": {
                "root": {"parent": None, "message": None},
                "a": node("root", "system", ""),
                "b": node("a", "user", "We won!"),
                "c": node("b", "assistant", "Oh."),
                "d": node("b", "assistant", "Great."),
            },
        }
    ]
    reading = read(document)
    assert pairs(reading) == [("user", "We won!"), ("assistant", "Great.")]
    assert reading.notes == ["1 system message left out", "1 message of other branches left out"]
    document[0]["mapping"]["b"]["parent"] = "d"  # a circle ends
    assert pairs(read(document)) == [("user", "We won!"), ("assistant", "Great.")]


def test_label_studio() -> None:
    task = {
        "id": 12,
        "data": {"title": "T", "dialogue": [{"author": "Anna", "text": "We won!"}]},
        "annotations": [{"result": [{"value": {"paragraphlabels": ["joy"]}}]}],
    }
    reading = read([task, {**task, "id": 13}])
    assert reading.form == "Label Studio JSON"
    assert [found.dialogue_id for found in reading.conversations] == ["12", "13"]
    assert pairs(reading) == [("Anna", "We won!")] * 2


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"messages": [{"role": "user", "content": 5}]}, "message 1, text: expected a string, got 5"),
        ({"messages": [{"role": "system", "content": "x"}]}, "without a turn; 1 system message left out"),
        ({"messages": [{"role": True, "content": "x"}]}, "message 1, speaker: expected a name"),
        ([SHARE, {"id": 1}], "turn 2: not ShareGPT JSON like the ones before it; its fields are id"),
        ({"messages": []}, "its fields are messages"),
        ({"messages": ["We won!"]}, "its fields are messages"),
    ],
)
def test_a_damaged_chat_names_its_message(document: Any, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read(document)


NAMES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8).map(clean_name).filter(bool)
WORDS = st.text(st.characters(categories=("L", "P", "S"), exclude_characters="<>&"), min_size=1, max_size=6)
TURNS = st.lists(
    st.tuples(NAMES, st.lists(WORDS, min_size=1, max_size=4).map(" ".join)), min_size=1, max_size=6
)
WRITERS: dict[str, Any] = {
    "chat messages": lambda turns: {"messages": [{"role": n, "content": t} for n, t in turns]},
    "ShareGPT": lambda turns: [{"conversations": [{"from": n, "value": t} for n, t in turns]}],
    "Telegram": lambda turns: {
        "messages": [{"type": "message", "date": "x", "from": n, "text": [t]} for n, t in turns]
    },
    "Slack": lambda turns: [{"user": n, "text": t, "ts": str(i)} for i, (n, t) in enumerate(turns)],
    "Discord": lambda turns: {"messages": [{"author": {"name": n}, "content": t} for n, t in turns]},
    "Teams": lambda turns: {
        "value": [{"from": {"user": {"displayName": n}}, "body": {"content": t}} for n, t in turns]
    },
    "own turns": lambda turns: [{"speaker": n, "text": t} for n, t in turns],
    "own dialogue": lambda turns: {"turns": [{"speaker": n, "text": t} for n, t in turns]},
    "own lines": lambda turns: "\n".join(json.dumps({"speaker": n, "text": t}) for n, t in turns),
    "a list of lists": lambda turns: [[{"role": n, "content": t} for n, t in turns]],
    "columns": lambda turns: {
        "speaker": {str(i): n for i, (n, _) in enumerate(turns)},
        "text": {str(i): t for i, (_, t) in enumerate(turns)},
    },
    "unknown program": lambda turns: {"data": {"items": [{"Author": n, "Body": t} for n, t in turns]}},
}


@pytest.mark.parametrize("form", WRITERS)
@given(turns=TURNS)
def test_written_and_read_again(form: str, turns: list[tuple[str, str]]) -> None:
    assert pairs(read(WRITERS[form](turns))) == turns
