"""Read plain text: a name on each turn, in any of the forms in which people write it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from ...errors import DataFormatError
from ..reading import UNKNOWN, Conversation, Reading
from ..remarks import is_manner, without_asides
from ..stamps import without_audio_stamp, without_trailing_stamp
from .forms import MEETING_CHAT, find_heads
from .heads import (
    ADDRESSED,
    STAMP_AFTER_COLON,
    STAMP_BEHIND,
    STAMPED,
    Head,
    Plan,
    cue,
)
from .lines import Kind, Line, script_lines, unclear
from .names import is_note
from .refusals import refuse_two_readings
from .separators import SENTENCES, named_before_mark, parts_a_name

_TRANSCRIPT = re.compile("transcript|transcription|trans[ck]ript|transkription|transcripción", re.IGNORECASE)
_MARKUP = re.compile(
    r"\A\s*(?:<!DOCTYPE\b|<\?xml\b|<html\b|<(\w+)[^<>]*>.*</\1>\s*$)", re.IGNORECASE | re.DOTALL
)
_PYTHON = re.compile(r"\A\s*[\[(]\s*[\[(]\s*['\"].*[\])]\s*$", re.DOTALL)
_PROMPT = re.compile(r"^(?:<\|(?:im_start|start_header_id|user|assistant|system)\|>|<start_of_turn>)", re.M)
_SCC = re.compile(r"\A\s*Scenarist_SCC V")
# A time that nobody says.
_SECONDS_AT_END = re.compile(r"\[\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,3})?\]$")
_EVENT = re.compile(r"Dialogue: (?:\d|Marked=)\d*,\d:\d\d:\d\d")
_NICK = re.compile(r"<[^<>]{1,40}> \S")
_REACTION = re.compile(r'Reacted to ".*" with \S{1,40}|Removed an? \S{1,40} reaction from ".*"')
_REPLY = re.compile(r'Replying to ".*"')


def read(text: str, name: str) -> Reading:
    """Read the turns of a plain text.

    A turn begins with a name: before a colon, alone above its text, or before a dash or
    full stop where all lines have one. Stamps, bullets, numbers, quote signs and emphasis
    around it are cut. A line without a name belongs to the turn before. Blank lines part
    dialogues where some part has more than one turn.

    Args:
        text: The text.
        name: The name of the file, for messages.

    Raises:
        DataFormatError: naming the line and its two readings, where it is unclear who
            speaks.
    """
    _refuse_documents(text, name)
    lines = script_lines(text)
    if not lines:
        return Reading("script", [])
    _refuse_captions(lines, name)
    plan = find_heads(lines, name)
    refuse_two_readings(lines, plan, name)
    _check_beginning(lines, plan, name)
    return _reading(_Assembler(lines, plan, name))


def _refuse_documents(text: str, name: str) -> None:
    """Refuse web pages, XML and others whose lines are none of a conversation."""
    for pattern, what, remedy in (
        (_MARKUP, "HTML or XML", "copy its text into a plain text file"),
        (_PROMPT, "a script with a chat model's prompt", "put the prompt into a file of its own"),
        (_SCC, "a file of coded captions (SCC)", "convert it to SubRip (.srt)"),
        (_PYTHON, "a list as Python prints it", "write it with `json.dump`, or one `Name: text` a line"),
    ):
        if pattern.search(text):
            raise DataFormatError(f"{name}: this is {what}; {remedy}.")


def _refuse_captions(lines: list[Line], name: str) -> None:
    """Refuse subtitles below a script: their numbers would be read as text."""
    for above, line in pairwise(lines):
        if (
            above.text == "[Events]"
            or _EVENT.match(line.text)
            or (
                line.kind is Kind.STAMP
                and "-->" in line.text
                and (above.text.isdigit() or above.text == "WEBVTT")
            )
        ):
            raise unclear(
                name,
                above,
                "stands above the times of a subtitle",
                "subtitles begin here",
                "it belongs to the turn before",
                "put the subtitles into a file of their own, or delete the line",
            )


# -- turns and dialogues


@dataclass
class _Turn:
    speaker: str
    texts: list[str]
    directions: list[str] = field(default_factory=list)  # stage directions behind it


class _Assembler:
    """Puts lines together to turns, and turns to dialogues.

    Attributes:
        sections: Parts between headings, each a list of parts between blank lines.
        counts: How many lines were left out or joined, by reason.
        loose: The first line without a name that follows a blank line.
    """

    def __init__(self, lines: list[Line], plan: Plan, name: str):
        self.lines, self.plan, self.name = lines, plan, name
        self.sections: list[list[list[_Turn]]] = []
        self.counts: Counter[str] = Counter()
        self.loose: Line | None = None
        self._parting = "heading"  # what stands between the last turn and this line
        self._others: Counter[str] = Counter()  # names before dashes and in columns, in texts
        self._known = {head.key for head in plan.heads.values()}
        self._head, self._head_line = next(iter(plan.heads.values())), ""
        resolve = _brackets_resolver(plan.heads.values())
        first = min(plan.heads)
        for index, line in enumerate(lines):
            if line.after_blank and not self._parting:
                self._parting = "blank"
            if index in plan.heads:
                self._head, self._head_line = plan.heads[index], line.text
                speaker, text = resolve(self._head)
                self._add_turn(_Turn(speaker, [text] if text else []))
            elif line.kind in (Kind.RULE, Kind.SECTION):
                self.counts["heading"] += 1
                self._parting = "heading"
            elif line.kind is Kind.STAMP and self._is_text(index):
                self.sections[-1][-1][-1].texts.append(line.text)
            elif line.kind is Kind.STAMP:  # not the end of a dialogue, with blank lines or without
                self._parting = self._parting if self._parting == "heading" else "stamp"
            elif index < first or index in plan.action:
                self.counts["action" if index in plan.action else "before"] += 1
            elif line.kind is Kind.FURNITURE:
                self.counts["furniture"] += 1
            elif line.kind is Kind.DIRECTION:
                self.sections[-1][-1][-1].directions.append(line.text)
            else:
                self._continue(line)
        if plan.form == MEETING_CHAT:
            self._leave_out_reactions()
        self._cut_stamps()
        self._settle_directions()

    def _is_text(self, index: int) -> bool:
        """Whether a time is all that is said, as no other line stands below a name."""
        above = self.plan.heads.get(index - 1)
        if above is None or above.text or "-->" in self.lines[index].text:
            return False
        head = self.lines[index - 1].head  # its own, without the time on this line
        is_between = index > 1 and self.lines[index - 2].kind is Kind.STAMP
        is_own = head is not None and STAMP_BEHIND in head.dress
        if STAMP_BEHIND in above.dress and not is_own and not is_between:
            return False  # the time of the name above it
        is_last = index + 1 == len(self.lines) or index + 1 in self.plan.heads
        is_last = is_last or self.lines[index + 1].after_blank
        times = {STAMPED, STAMP_BEHIND, ADDRESSED}
        has_time = head is not None and not head.text and not times.isdisjoint(head.dress)
        return has_time or (is_last and STAMP_AFTER_COLON not in above.dress)

    def _add_turn(self, turn: _Turn) -> None:
        if self._parting == "heading":
            self.sections.append([[]])
        elif self._parting == "blank":
            self.sections[-1].append([])
        self.sections[-1][-1].append(turn)
        self._parting = ""

    def _continue(self, line: Line) -> None:
        """Join a line without a name to the turn before."""
        if self._parting == "heading" or (line.stamped and STAMPED in self._head.dress):
            raise unclear(
                self.name,
                line,
                "names no speaker",
                "it belongs to the turn before",
                "somebody else speaks",
                f"write `{self._head.name}: …` or `{UNKNOWN}: …`, or put what nobody says in brackets",
            )
        is_alone = " ".join(self._head_line.casefold().split()) == self._head.key
        is_cut = is_alone and line.number >= self.lines[-2].number  # before its text
        is_name = " ".join(line.text.casefold().split()) in self._known
        if is_name and (line.after_blank or (is_cut and self.sections[-1][-1][-1].texts)):
            raise unclear(
                self.name,
                line,
                "is a name alone on a line, as no other turn begins",
                "this person says the lines below",
                "the name is said in the turn before",
                "write `Name: text`",
            )
        if (other := named_before_mark(line.text)) is not None:
            self._others[other] += 1
        if _NICK.match(line.text):
            self._others["<>"] += 2
        known = sum(n for other, n in self._others.items() if n > 1 or other in self._known)
        is_dashed = STAMP_BEHIND in self._head.dress and named_before_mark(self._head_line) is not None
        if self._others.total() > 2 - bool(known) or (other is not None and is_dashed):
            raise unclear(
                self.name,
                line,
                "and lines above look like names with their texts",
                "they are turns",
                "they belong to the turn before",
                "write `Name: text`, or put them into a file of their own",
            )
        if line.after_blank and not line.head and line.text == line.text.upper() and cue(line.text):
            self._others[line.text] += 1
        if self._others[line.text] > 1 or (line.stamped and "\t" in line.text):
            raise unclear(
                self.name,
                line,
                "is unlike the lines above",
                "it begins something else",
                "it belongs to the turn before",
                "put it into a file of its own, or join it to the line above",
            )
        turn = self.sections[-1][-1][-1]
        if self._parting == "blank":
            self.loose = self.loose or (line if turn.texts else None)
            self._parting = ""
        self.counts["continued"] += bool(turn.texts)
        turn.texts.append(line.text)

    def _leave_out_reactions(self) -> None:
        """Leave out reactions, and the quotation above a reply, of a meeting's chat."""
        for part in (part for section in self.sections for part in section):
            for turn in list(part):
                if len(turn.texts) == 1 and _REACTION.fullmatch(turn.texts[0]):
                    part.remove(turn)
                    self.counts["reaction"] += 1
                elif len(turn.texts) > 1 and _REPLY.fullmatch(turn.texts[0]):
                    del turn.texts[0]
                    self.counts["quotation"] += 1
        self.sections = [kept for section in self.sections if (kept := [part for part in section if part])]

    def _cut_stamps(self) -> None:
        """Cut stamps in brackets at the end of every turn."""
        turns = [turn for section in self.sections for part in section for turn in part]
        for turn in turns:
            turn.texts = [text for text in map(without_audio_stamp, turn.texts) if text]
        if len(turns) > 1 and not turns[-1].texts:
            turns.pop()
        if not turns or not all(turn.texts for turn in turns):
            return
        last = turns[-1].texts  # behind whose stamp a name may stand, where the file is cut off
        at_end = [turn.texts[-1] for turn in turns[:-1]] + [
            next((text for text in reversed(last) if _cut_stamp(text) is not None), last[-1])
        ]
        cut = [_cut_stamp(text) for text in at_end]
        stamped = len(cut) - cut.count(None)
        surely = all(_SECONDS_AT_END.search(text) for text in at_end[:-1] or at_end)
        if 4 * stamped < max(len(cut), 8) and not surely:
            return
        for turn, text, rest in zip(turns, at_end, cut, strict=True):
            if rest is not None:
                index = len(turn.texts) - 1 - turn.texts[::-1].index(text)
                turn.texts[index : index + 1] = [rest] if rest else []

    def _settle_directions(self) -> None:
        """Leave stage directions out, except where they are all of a turn."""
        for turn in (turn for section in self.sections for part in section for turn in part):
            if turn.texts:
                self.counts["direction"] += len(turn.directions)
            else:
                turn.texts = turn.directions


def _cut_stamp(text: str) -> str | None:
    return without_trailing_stamp(text, brackets_only=True)


def _check_beginning(lines: list[Line], plan: Plan, name: str) -> None:
    """Refuse a text that begins with something that may be a turn, and is no title."""
    first = min(plan.heads)
    gaps = [
        index
        for index in range(1, first + 1)
        if lines[index].after_blank
        or lines[index].kind is Kind.STAMP
        or _TRANSCRIPT.fullmatch(lines[index - 1].text)
    ]
    known = {head.key for head in plan.heads.values()}
    parted = sum(parts_a_name(line.text) for line in lines[:first])
    repeated = len(first_texts := [line.text for line in lines[:first] if line.kind is Kind.TEXT])
    repeated -= len(set(first_texts))
    for index, line in enumerate(lines[:first]):
        if line.kind is not Kind.TEXT or index in plan.action:
            continue
        before_colon = re.split("[:：]", line.text[:100])[0]
        title = (line.text[-1] not in ".!?…,;。！？" and len(line.text) <= 100) or "otter.ai" in line.text
        is_name = " ".join(line.text.casefold().split()) in known
        title = title and not _may_be_said(lines, index) and parted < 2 and not is_name and not repeated
        if is_note(before_colon) or (title and gaps and gaps[-1] > index):
            continue
        raise unclear(
            name,
            line,
            "stands before the first speaker",
            "it is a title",
            "somebody speaks it",
            "begin a title with #, write a turn as `Name: text`",
        )


def _may_be_said(lines: list[Line], index: int) -> bool:
    """Whether a line has a time, or a name in brackets, as no title has."""
    line = lines[index]
    below_time = index > 0 and lines[index - 1].kind is Kind.STAMP and not line.after_blank
    has_time = line.stamped and any(map(str.isalpha, line.rest))
    return below_time or has_time or _NICK.match(line.text) is not None


def _brackets_resolver(heads: Iterable[Head]) -> Callable[[Head], tuple[str, str]]:
    """Make the function that says where the brackets beside a name belong.

    `Anna (laughing): We won!` is Anna's `(laughing) We won!`. `Ben (host)` is a name
    where Ben never stands without it. `(CONT'D)` and `(she/her)` are neither.
    """
    without = {head.key for head in heads if not head.bracket}

    def resolve(head: Head) -> tuple[str, str]:
        bracket = without_asides(head.bracket)
        if not bracket:
            return head.name, head.text
        if head.key in without or is_manner(bracket):
            return head.name, f"{bracket} {head.text}".strip()
        return f"{head.name} {bracket}", head.text

    return resolve


_NOTES = {
    "continued": ("line without a name joined to its turn", "lines without a name joined to their turns"),
    "direction": ("stage direction left out", "stage directions left out"),
    "reaction": ("reaction left out", "reactions left out"),
    "quotation": ("quotation above a reply left out", "quotations above replies left out"),
    "heading": ("heading left out", "headings left out"),
    "before": ("line before the first speaker left out", "lines before the first speaker left out"),
    "action": ("line of action left out", "lines of action left out"),
    "furniture": ("line of the program left out", "lines of the program left out"),
}


def _reading(found: _Assembler) -> Reading:
    """Part the dialogues, and write the notes."""
    sections = found.sections
    spaced = any(len(section) > 1 for section in sections)
    parted = spaced and any(len(part) > 1 for section in sections for part in section)
    if parted and found.loose is not None:
        raise unclear(
            found.name,
            found.loose,
            "follows a blank line and names no speaker",
            "it belongs to the turn before",
            "it begins a dialogue",
            "delete the blank line, or write `Name: text`",
        )
    if not parted:
        sections = [[[turn for part in section for turn in part]] for section in sections]
    conversations = [
        Conversation(str(index), [{"speaker": turn.speaker, "text": " ".join(turn.texts)} for turn in part])
        for index, part in enumerate(part for section in sections for part in section)
    ]
    notes = [f"no names: each line is a turn of {UNKNOWN}"] if found.plan.form == SENTENCES else []
    notes += ["blank lines are double spacing"] if spaced and not parted else []
    counts = ((found.counts[reason], words) for reason, words in _NOTES.items())
    notes += [f"{count} {words[count > 1]}" for count, words in counts if count]
    return Reading(found.plan.form, conversations, notes)
