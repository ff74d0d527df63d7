"""Read the JSON of chats: messengers' exports, chats with a language model, data sets."""

import html
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .turns import JsonTurns, Object, has, oldest_first

# Messages of the machinery around a chat, which nobody says.
_NOT_SPOKEN = frozenset(
    ("system", "developer", "tool", "function", "observation", "function_call", "tool_call", "tool_response")
)
# Roles that tell a list of chat messages from turns whose speaker stands under `role`.
_CHAT_ROLES = frozenset(
    ("user", "assistant", "human", "gpt", "model", "bot", "ai", "agent", "chatbot", *_NOT_SPOKEN)
)
# Fields of our own turns that no messenger writes.
_OWN = frozenset(("speaker", "dialogue_id", "turn", "emotion"))
_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")
_TAG = re.compile(r"<[^<>]*>")
_BLOCK = re.compile(r"(?i)</(p|div|li|tr|h\d)>|<br\s*/?>")
_REACTED = re.compile(r"Reacted \S{1,12} to your message\s*|Liked a message\s*")
_SLACK_LINK = re.compile(r"<(?:(?:https?|mailto):[^<>|]*\|)?([^<>]*)>")

# A message is its speaker and text, or what it is instead, such as `system message`.
Message = tuple[Any, Any] | str


class _Messenger(NamedTuple):
    form: str
    belongs: Callable[[Object], bool]
    take: Callable[[Object], Message]
    time: Callable[[Object], Any] = lambda item: None


def take_chat(document: Object, turns: JsonTurns) -> bool:
    """Add a document's dialogue to `turns`; False for any other document.

    Raises:
        DataFormatError: naming the message and its field.
    """
    key = document.get("id", document.get("conversation_id", document.get("uuid")))
    if isinstance(document.get("mapping"), Mapping):
        return _chatgpt(document, turns)
    if {"episodes", "scenes", "scene_id"} & set(document):
        return _emorynlp(document, turns)
    for field in ("messages", "conversations", "conversation", "chat_messages", "contents", "value"):
        items = document.get(field)
        if not isinstance(items, list) or not items:
            continue
        if take_messages(items, turns, key, field):
            return True
    skype = document.get("conversations")
    if isinstance(skype, list) and skype and all(isinstance(item, Mapping) for item in skype):
        listed = [item for item in skype if isinstance(item.get("MessageList"), list)]
        if len(listed) == len(skype):
            return all([_skype_chat(item, document, turns) for item in listed])
    chats = document.get("chats")
    if isinstance(chats, Mapping) and isinstance(chats.get("list"), list):  # all chats of an account
        found = [take_chat(chat, turns) for chat in turns.objects(chats["list"], "chats.list")]
        return any(found)
    return False


def take_messages(items: list[Any], turns: JsonTurns, key: Any = None, field: str = "") -> bool:
    """Add a list of messages as one dialogue; False for any other list."""
    messages = [item for item in items if isinstance(item, Mapping)]
    if len(messages) < len(items):
        return False
    messenger = _messenger_of(messages, bare=not field)
    if messenger is None:
        return False
    turns.begin(messenger.form, key)
    for index, item in enumerate(oldest_first(messages, messenger.time, turns), 1):
        _add(messenger.take(item), turns, f"message {index}")
    return True


def _add(message: Message, turns: JsonTurns, location: str) -> None:
    if isinstance(message, str):
        turns.leave_out(message)
    elif message[1] is None:
        turns.leave_out("message", "without text")
    else:
        turns.add(*message, location)


def is_message(item: Object) -> bool:
    """Whether a line of a file is a message of a chat, not one of our own turns."""
    return _messenger_of([item], bare=True) is not None


def _messenger_of(messages: list[Object], bare: bool) -> _Messenger | None:
    """The program that wrote the messages; a bare list of them may be turns."""
    if bare and any(_OWN & set(item) for item in messages):
        return None
    found = next((one for one in _MESSENGERS if messages and all(map(one.belongs, messages))), None)
    if bare and found is not None and found.form == "chat messages":
        is_chat = all(str(item.get("role")).lower() in _CHAT_ROLES for item in messages)
        return found if is_chat else None
    return found


def _content(value: Any) -> Any:
    """The text of a content: a string, or a list of parts of which some are text."""
    if isinstance(value, Mapping):
        value = value.get("parts", value.get("text"))
    if not isinstance(value, list):
        return value
    texts = []
    for part in value:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and part.get("type", "text") in _TEXT_PARTS:
            text = part.get("text", part.get("refusal"))
            texts += [text] if isinstance(text, str) else []
    return "\n".join(texts) if texts else None


def _role_message(item: Object) -> Message:
    role = item["role"]
    if isinstance(role, str) and role.lower() in _NOT_SPOKEN:
        return f"{role.lower()} message"
    text = _content(next((item[key] for key in ("content", "parts", "text", "message") if key in item), None))
    calls = item.get("tool_calls") or item.get("function_call")
    return item.get("name") or role, None if calls and text == "" else text


def _sharegpt(item: Object) -> Message:
    speaker = item["from"]
    if isinstance(speaker, str) and speaker.lower() in _NOT_SPOKEN:
        return f"{speaker.lower()} message"
    return speaker, item["value"]


def _claude(item: Object) -> Message:
    text = _content(item.get("content")) if item.get("content") else item.get("text")
    return item["sender"], text or None


def _telegram(item: Object) -> Message:
    if item.get("type") == "service":
        return "service message"
    text = item.get("text")
    if isinstance(text, list):  # plain strings and entities such as links
        text = "".join(
            part if isinstance(part, str) else str(part.get("text", ""))
            for part in text
            if isinstance(part, str | Mapping)
        )
    return item.get("from"), None if text == "" else text


def _discord(item: Object) -> Message:
    if item.get("type", "Default") not in ("Default", "Reply", 0, 19):
        return "system message"
    author = item["author"]
    speaker = next(
        (author[key] for key in ("nickname", "global_name", "name", "username") if author.get(key)), author
    )
    return speaker, item["content"] or None


def _slack(item: Object) -> Message:
    if item.get("type", "message") != "message" or str(item.get("subtype", "")).startswith(_SLACK_EVENTS):
        return "system message"
    profile = item.get("user_profile", item.get("bot_profile"))
    names = ("display_name", "real_name", "name")
    speaker = (
        next((profile[key] for key in names if profile.get(key)), None)
        if isinstance(profile, Mapping)
        else None
    )
    speaker = speaker or item.get("username") or item.get("user") or item.get("bot_id")
    text = item.get("text")
    if not isinstance(text, str):
        return speaker, text
    return speaker, html.unescape(_SLACK_LINK.sub(r"\1", text)) or None


_SLACK_EVENTS = ("channel_", "group_", "bot_add", "bot_remove", "pinned_item", "reminder_add", "tombstone")


def _teams(item: Object) -> Message:
    if item.get("messageType", "message") != "message" or item.get("deletedDateTime"):
        return "system message"
    body, sender = item["body"], item.get("from")
    text = body.get("content")
    if isinstance(text, str) and str(body.get("contentType", "html")).lower() == "html":
        text = html.unescape(_TAG.sub("", _BLOCK.sub("\n", text))).strip()
    if isinstance(sender, Mapping):
        sender = next((sender[key] for key in ("user", "application", "device") if sender.get(key)), None)
    return sender, text if not isinstance(text, str) or text.strip() else None


def _facebook(item: Object) -> Message:
    text = _as_utf8(item.get("content")) or None
    if isinstance(text, str) and _REACTED.fullmatch(text):
        return "reaction"
    return _as_utf8(item["sender_name"]), text


def _as_utf8(text: Any) -> Any:
    """Undo the UTF-8 bytes as Latin-1 of Facebook's and Instagram's exports."""
    try:
        return text.encode("latin-1").decode("utf-8") if isinstance(text, str) else text
    except UnicodeError:
        return text


def _google_chat(item: Object) -> Message:
    return item["creator"], item.get("text") or None


def _matrix(item: Object) -> Message:
    if item.get("type") != "m.room.message":
        return "event"
    return item["sender"], item["content"].get("body") or None


def _is_object(item: Object, *keys: str) -> bool:
    return all(isinstance(item.get(key), Mapping) for key in keys)


# In this order: the first whose fields all messages have.
_MESSENGERS = (
    _Messenger("ShareGPT JSON", lambda item: has(item, "from", "value"), _sharegpt),
    _Messenger("chat messages", lambda item: has(item, "role") and "speaker" not in item, _role_message),
    _Messenger(
        "Telegram JSON",
        lambda item: (
            (item.get("type") == "service" or (has(item, "text") and bool({"from", "from_id"} & set(item))))
            and "date" in item
        ),
        _telegram,
    ),
    _Messenger(
        "Discord JSON",
        lambda item: _is_object(item, "author") and "content" in item,
        _discord,
        lambda item: item.get("timestamp"),
    ),
    _Messenger(
        "Slack JSON",
        lambda item: has(item, "ts") and bool({"user", "username", "bot_id", "subtype"} & set(item)),
        _slack,
        lambda item: item["ts"],
    ),
    _Messenger(
        "Teams chat JSON",
        lambda item: (
            _is_object(item, "body") and bool({"messageType", "createdDateTime", "from"} & set(item))
        ),
        _teams,
        lambda item: item.get("createdDateTime"),
    ),
    _Messenger(
        "Facebook or Instagram JSON",
        lambda item: has(item, "sender_name"),
        _facebook,
        lambda item: item.get("timestamp_ms"),
    ),
    _Messenger("Google Chat JSON", lambda item: _is_object(item, "creator"), _google_chat),
    _Messenger(
        "Matrix JSON", lambda item: _is_object(item, "content") and has(item, "sender", "type"), _matrix
    ),
    _Messenger(
        "Claude JSON",
        lambda item: has(item, "sender") and bool({"text", "content"} & set(item)),
        _claude,
    ),
)


def _skype_chat(chat: Object, document: Object, turns: JsonTurns) -> bool:
    """Read a chat of Skype's export, whose newest message stands first."""
    turns.begin("Skype JSON", chat.get("id"))
    names = {chat.get("id"): chat.get("displayName"), document.get("userId"): None}
    messages = turns.objects(chat["MessageList"], "MessageList")
    time = "originalarrivaltime"
    for index, item in enumerate(oldest_first(messages, lambda item: item.get(time), turns), 1):
        text, sender = item.get("content"), item.get("from")
        if item.get("messagetype") not in ("Text", "RichText") or not isinstance(text, str):
            turns.leave_out("system message")
            continue
        speaker = item.get("displayName") or names.get(sender) or str(sender or "").partition(":")[2]
        _add((speaker, html.unescape(_TAG.sub("", text)) or None), turns, f"message {index}")
    return True


def _chatgpt(document: Object, turns: JsonTurns) -> bool:
    """Read a chat of ChatGPT's export: the branch of its tree that is shown."""
    nodes = document["mapping"]
    node, branch, seen = document.get("current_node"), [], set()
    if not isinstance(node, str):
        return False
    while isinstance(node, str) and node not in seen and isinstance(nodes.get(node), Mapping):
        seen.add(node)
        branch.append(nodes[node].get("message"))
        node = nodes[node].get("parent")
    turns.begin("ChatGPT JSON", document.get("conversation_id", document.get("id")))
    others = sum(isinstance(found, Mapping) and bool(found.get("message")) for found in nodes.values())
    for index, message in enumerate(reversed(branch), 1):
        if not isinstance(message, Mapping):
            continue
        others -= 1
        author, content = message.get("author"), message.get("content")
        role = author.get("role") if isinstance(author, Mapping) else None
        if role in _NOT_SPOKEN:
            turns.leave_out(f"{role} message")
        elif not isinstance(content, Mapping) or content.get("content_type") not in (
            "text",
            "multimodal_text",
        ):
            turns.leave_out("message", "without text")
        else:
            _add((role, _content(content) or None), turns, f"message {index}")
    for _ in range(others):
        turns.leave_out("message", "of other branches")
    return True


def _emorynlp(document: Object, turns: JsonTurns) -> bool:
    """Read EmoryNLP's JSON: the scenes of a season, an episode, or one scene."""
    for field in ("episodes", "scenes"):
        parts = document.get(field)
        if isinstance(parts, list) and parts and all(isinstance(part, Mapping) for part in parts):
            return all([_emorynlp(part, turns) for part in parts])
    utterances = document.get("utterances")
    if "scene_id" not in document or not isinstance(utterances, list):
        return False
    if not any(isinstance(item, Mapping) and "speakers" in item for item in utterances):
        return False
    turns.begin("EmoryNLP JSON", document["scene_id"])
    for index, item in enumerate(turns.objects(utterances, f"scene {document['scene_id']}, utterance"), 1):
        location = f"scene {document['scene_id']}, utterance {index}"
        speakers, text = item.get("speakers"), item.get("transcript")
        if not isinstance(speakers, list):
            raise turns.wrong(location, "speakers", speakers, "a list of names")
        if text in (None, ""):  # a stage direction
            turns.leave_out("utterance", "without text")
        else:
            note = "turns of several people stand under the first"
            if len(speakers) > 1 and note not in turns.notes:
                turns.notes.append(note)
            turns.add(speakers[0] if speakers else None, text, location)
    return True
