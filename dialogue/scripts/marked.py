"""Read texts with marks around turns: CHAT, prompts of chat models, DailyDialog."""

import re
from collections import Counter

from ...errors import DataFormatError
from ...files.text import short
from ..reading import Conversation, Reading

_LINE_END = re.compile(r"\r\n|\r|\n")
_MAIN = re.compile(r"\*([^\s:*]{1,30}):[\t ]*(.*)")
_BULLET = re.compile(r"\s*\x15[^\x15]*\x15")  # the times of the recording

# Templates of chat models: ChatML, Llama 3, Gemma, Zephyr and Phi, Mistral and Llama 2.
_OPENING = re.compile(
    r"<\|im_start\|>(?P<chatml>\w+)[^\n]*\n|<\|start_header_id\|>(?P<llama>\w+)<\|end_header_id\|>"
    r"|<start_of_turn>(?P<gemma>\w+)\n|<\|(?P<zephyr>system|user|assistant)\|>|\[(?P<inst>/?INST)\]"
)
_CLOSING = re.compile(r"<\|(?:im_end|eot_id|end|end_of_text|endoftext)\|>|<end_of_turn>|</s>")
_BEGINNING = re.compile(r"(?:\s*(?:<\|begin_of_text\|>|<bos>|<s>))*\s*")
_BEGINS = re.compile(r"<\|begin_of_text\|>|<bos>")  # Llama 2 writes <s> before every question
_SYSTEM = re.compile(r"\s*<<SYS>>.*?<</SYS>>\s*", re.DOTALL)
_ROLES = {"INST": "user", "/INST": "assistant"}
_NOT_SPOKEN = frozenset(("system", "developer", "tool", "ipython"))

_UTTERANCE_END = "__eou__"
_TWO_ROLES = ("Speaker 1", "Speaker 2")  # as in the builder of DailyDialog


def read(text: str, name: str) -> Reading | None:
    """Read a text whose turns stand between marks; None for a text in another form.

    Raises:
        DataFormatError: naming a line that may be read in two ways.
    """
    for form in (_chat, _template, _dailydialog):
        if (found := form(text, name)) is not None:
            return found
    return None


def _chat(text: str, name: str) -> Reading | None:
    """Read CHAT, the format of CLAN, CHILDES and TalkBank.

    A main line (`*MOT:`) is a turn of that code. Headers (`@Begin`) and dependent tiers
    (`%mor:`) are left out and counted, and so are the times between bullets.

    Source: MacWhinney, Tools for Analyzing Talk, Part 1: The CHAT Transcription Format.
    """
    lines = [line.rstrip() for line in _LINE_END.split(text.replace("\ufeff", ""))]
    if not any(line.startswith("@Begin") for line in lines[:20]) or not any(map(_MAIN.match, lines)):
        return None
    turns: list[dict[str, str]] = []
    counts: Counter[str] = Counter()
    in_turn = False  # whether the line above belongs to a turn
    for number, line in enumerate(lines, 1):
        if match := _MAIN.match(line):
            in_turn = True
            turns.append({"speaker": match[1], "text": match[2]})
        elif line.startswith(("@", "%")):
            in_turn = False
            counts["header" if line[0] == "@" else "dependent tier"] += 1
        elif line[:1] in ("\t", " ") and line.strip():
            if in_turn:
                turns[-1]["text"] += " " + line.strip()
        elif line.strip():
            raise DataFormatError(
                f"{name}, line {number}: {short(line)} is no line of CHAT: either it goes on with the line "
                "above, or it is something else; begin it with a tab, or with *, % or @."
            )
    for turn in turns:
        turn["text"] = _BULLET.sub("", turn["text"]).strip()
    return Reading("CHAT transcript", [Conversation("0", [*map(dict, turns)])], _left_out(counts))


def _template(text: str, name: str) -> Reading | None:
    """Read the prompt of a chat model; its system messages are left out and counted."""
    start = _BEGINNING.match(text)
    if start is None or not _OPENING.match(text, start.end()):
        return None
    openings = list(_OPENING.finditer(text))
    dialogues: list[list[dict[str, str]]] = [[]]
    counts: Counter[str] = Counter()
    for index, opening in enumerate(openings):
        role = str(opening[opening.lastgroup or 0])
        role = _ROLES.get(role, role)
        end = openings[index + 1].start() if index + 1 < len(openings) else len(text)
        content, *behind = _CLOSING.split(text[opening.end() : end])
        line = text.count("\n", 0, opening.start()) + 1
        if any(_BEGINNING.fullmatch(part) is None for part in behind):
            raise DataFormatError(
                f"{name}, line {line}: text stands behind the end of the {role} message: either it belongs "
                "to the message, or somebody else says it; move it before the mark, or give it a role."
            )
        if role == "user" and (instruction := _SYSTEM.match(content)):
            counts["system message"] += 1
            content = content[instruction.end() :]
        if role in ("system", "developer") and dialogues[-1]:
            raise DataFormatError(
                f"{name}, line {line}: a {role} message behind turns: either it begins another dialogue, or "
                "it belongs to this one; put each dialogue into a file of its own, or delete the message."
            )
        if role in _NOT_SPOKEN:
            counts[f"{role} message"] += 1
        elif content.strip():
            dialogues[-1].append({"speaker": role, "text": content.strip()})
        else:  # the prompt for an answer
            counts["empty message"] += 1
        if any(map(_BEGINS.search, behind)) and dialogues[-1]:
            dialogues.append([])
    conversations = [Conversation(str(n), [*map(dict, turns)]) for n, turns in enumerate(dialogues)]
    return Reading("prompt of a chat model", conversations, _left_out(counts))


def _dailydialog(text: str, name: str) -> Reading | None:
    """Read DailyDialog's text: a dialogue a line, whose two speakers alternate."""
    if not text.lstrip("\ufeff \r\n").partition("\n")[0].rstrip().endswith(_UTTERANCE_END):
        return None
    conversations: list[Conversation] = []
    for number, line in enumerate(_LINE_END.split(text.replace("\ufeff", "")), 1):
        *utterances, rest = line.split(_UTTERANCE_END)
        if not line.strip():
            continue
        if rest.strip() or not utterances or not all(map(str.strip, utterances)):
            raise DataFormatError(
                f"{name}, line {number}: {short(line)} does not end in {_UTTERANCE_END}, or has an empty "
                "utterance; DailyDialog has one dialogue a line, each utterance with the mark behind it."
            )
        turns = [
            {"speaker": _TWO_ROLES[index % 2], "text": utterance.strip()}
            for index, utterance in enumerate(utterances)
        ]
        conversations.append(Conversation(str(len(conversations)), [*map(dict, turns)]))
    return Reading("DailyDialog text", conversations, ["speakers taken to alternate, as DailyDialog's do"])


def _left_out(counts: Counter[str]) -> list[str]:
    return [f"{count} {what}{'s' * (count > 1)} left out" for what, count in counts.items()]
