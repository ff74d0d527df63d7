"""Read the cues of subtitle and caption files with pysubs2 and webvtt-py.

Both libraries skip what they cannot read without a word. So the lines with the times of
a cue are checked first and written the strict way, and every one must come back as a cue.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from ...errors import DataFormatError, EmoNetError

try:
    import pysubs2
except ImportError:
    pysubs2 = None  # type: ignore[assignment]
try:
    import webvtt
except ImportError:
    webvtt = None  # type: ignore[assignment]

_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[,.:](\d{1,3}))?"
_SETTING = r"\s+(?:align|line|position|region|size|vertical|[XY][12]):\S+"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:{_SETTING})*\s*", re.IGNORECASE)
_SBV_TIMES = re.compile(rf"\s*{_CLOCK},\s*{_CLOCK}\s*")
_TWO_STAMPS = re.compile(r"(?:\d{1,2}:\d{1,2}:\d{1,2}[.,]\d.*){2}")
_PART_OF_TIMES = re.compile(r"\s*\d{1,2}:\d{2}[\d:,.]*\s*-{0,2}\s*")
_CUT_TIMES = re.compile(r"\d{1,2}(?::[\d:,.]*)?\s*-{0,2}")  # on the last line, below a number
_NO_CUES = re.compile(r"(?:WEBVTT|NOTE|STYLE|REGION)(?:\s.*)?")
_WEBEX = re.compile(r'\d+ "([^"<>]{1,80})" \(\d*\)')  # the identifier of a cue, with its speaker
_OVERRIDE = re.compile(r"\{[^{}]*\}")
_TAG = re.compile(r"\{\\[^{}]*\}")  # in SubRip, where other braces are text
_DRAWING = re.compile(r"\\p[1-9]")
_NAMED_LINE = re.compile(r"(?:[-–—*•]\s*)?[^\W\d_][^:]{0,40}:\s.*")
_SECTION = re.compile(
    r"\s*\[(Script Info|V4\+* Styles\+*|Events|Fonts|Graphics|Aegisub [\w ]+)\]\s*", re.IGNORECASE
)
_EVENT = re.compile(r"\s*(Dialogue|Comment):\s*(.*)")
_OTHER_EVENT = re.compile(r"\s*(?:Picture|Sound|Movie|Command):")
_EVENT_FIELDS = ["layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text"]
_TTML_CUE = re.compile(r"<(?:\w+:)?p\b[^<>]*\bbegin=")
_SECONDS = re.compile(r'((?:begin|end|dur)=)"(\d+(?:\.\d+)?)"')  # as Apple Podcasts writes them
_METADATA = "{http://www.w3.org/ns/ttml#metadata}"
_LONGEST_LINE = 2000  # characters of a cue in a format with one cue a line
_TITLES = {
    "srt": "SubRip subtitles",
    "vtt": "WebVTT captions",
    "sbv": "SBV captions",
    "ass": "ASS subtitles",
    "ssa": "SSA subtitles",
    "ttml": "TTML captions",
    "microdvd": "MicroDVD subtitles",
    "mpl2": "MPL2 subtitles",
}
_LINE_CUES = {
    "microdvd": re.compile(r"\s*\{\s*\d+\s*\}\s*\{\s*\d+\s*\}.*"),
    "mpl2": re.compile(r"\[-?\d+\]\[-?\d+\].*"),
}


@dataclass
class Cue:
    """A cue as the file has it.

    Attributes:
        start: Seconds; None where the file counts frames without their rate.
        end: Seconds, or None.
        lines: The lines of text, with the markup for voices and fonts.
        actor: The name in the cue's own field; empty without one.
    """

    start: float | None
    end: float | None
    lines: list[str]
    actor: str = ""


def split_lines(text: str) -> list[str]:
    """Split at `\\n`, `\\r\\n` and `\\r`, without byte order marks."""
    return re.split(r"\r\n|\r|\n", text.replace("\ufeff", ""))


def form_of(text: str, name: str) -> str | None:
    """Tell the format of captions from the first lines, else from the file's ending.

    Returns:
        `srt`, `vtt`, `sbv`, `ass`, `ssa`, `ttml`, `microdvd` or `mpl2`; None for other
        texts.
    """
    start = text[:4000].lstrip("\ufeff \t\r\n")
    lines = [line for line in split_lines(start) if line.strip()][:2] or [""]
    ending = name.lower().rpartition(".")[2]
    if re.match(r"WEBVTT(?:\s|$)", start):
        return "vtt"
    if re.match(r"\[Script Info\]|\[V4\+? Styles\]|\[Events\]", start, re.IGNORECASE):
        return "ssa" if ending == "ssa" or re.search(r"\[V4 Styles\]", text, re.IGNORECASE) else "ass"
    if any(_TIMES.fullmatch(line) for line in lines):
        return "vtt" if ending == "vtt" else "srt"
    if _SBV_TIMES.fullmatch(lines[0]):
        return "sbv"
    if re.match(r"(?:<\?xml[^<>]*>\s*)?<(?:tt:)?tt\b", start):
        return "ttml"
    for form, pattern in _LINE_CUES.items():
        if all(pattern.fullmatch(line) for line in lines):
            return form
    return "ttml" if ending == "dfxp" else ending if ending in _TITLES else None


def read_cues(text: str, name: str, form: str) -> tuple[str, list[Cue], list[str]]:
    """Read every cue of a file.

    Args:
        text: The file's content.
        name: Its name, for messages.
        form: See [`form_of`].

    Returns:
        The name of the format, the cues, and what was left out.

    Raises:
        DataFormatError: naming the line, for text outside a cue, invalid times, or a cue
            that the library does not read.
    """
    if form not in ("srt", "vtt", "sbv"):
        return _TITLES[form], *_other_formats(text, name, form)
    lines, notes = split_lines(text), []
    cues = list(_checked(lines, name, _SBV_TIMES if form == "sbv" else _TIMES, form))
    if form == "srt" and (number := _number_of_no_cue(lines, cues)):
        cues[-1][3].pop()
        notes.append(f"the number {number} of a missing cue at the end left out")
    return _TITLES[form], _parse_srt(cues, name) if form == "srt" else _parse_vtt(cues, name), notes


_Checked = tuple[int, str, str, list[str]]  # line of the times, start, end, lines of text


def _checked(lines: list[str], name: str, pattern: re.Pattern[str], form: str) -> Iterator[_Checked]:
    """Yield line number, strict times and the lines of text of each cue.

    A cue may contain blank lines: it ends at the next cue's times.
    """
    times: dict[int, re.Match[str]] = {}
    comments = _comments(lines, form)
    for index, line in enumerate(lines):
        if index in comments:
            continue
        if match := pattern.fullmatch(line):
            times[index] = match
        elif "-->" in line or (
            (_PART_OF_TIMES.fullmatch(line) and _begins_cue(lines, index)) or _is_cut(lines, index)
        ):
            raise DataFormatError(
                f"{name}, line {index + 1}: no times in {line.strip()[:60]!r}; "
                "write 00:00:01,000 --> 00:00:02,500."
            )
    # A cue begins at its number or identifier, where it has one, else at its times.
    heads = [index - 1 if _is_identifier(lines, index - 1, form) else index for index in times]
    before = range(heads[0] if heads else len(lines))
    outside = [index for index in before if lines[index].strip() and index not in comments]
    outside = [index for index in outside if not lines[index].strip().isdigit()] or outside
    if outside:
        raise DataFormatError(
            f"{name}, line {outside[0] + 1}: {lines[outside[0]].strip()[:60]!r} is outside a subtitle; "
            "write a line with its times above it."
        )
    ends = [*heads[1:], len(lines)] if heads else []
    for (index, match), end in zip(times.items(), ends, strict=True):
        start, stop = _strict(match.groups()[:4]), _strict(match.groups()[4:])
        if start is None or stop is None:
            raise DataFormatError(
                f"{name}, line {index + 1}: {lines[index].strip()[:60]!r} is not a time of a recording; "
                "minutes and seconds go to 59, hours to 99."
            )
        texts = [lines[at].strip() for at in range(index + 1, end) if at not in comments]
        if texts and index and (webex := _WEBEX.fullmatch(lines[index - 1].strip())):
            texts[0] = f"<v {webex[1]}>{texts[0]}"
        if end == len(lines):
            _check_end(texts, name, index + 2)
        yield index + 1, start, stop, [line for line in texts if line]


def _is_cut(lines: list[str], index: int) -> bool:
    """Whether a last line may begin the times of a cue, whose number is above."""
    is_last = index == len(lines) - 1 and index > 1
    return (
        is_last
        and lines[index - 1].strip().isdigit()
        and not lines[index - 2].strip()
        and _CUT_TIMES.fullmatch(lines[index].strip()) is not None
    )


def _begins_cue(lines: list[str], index: int) -> bool:
    """Whether a line has a number above it, or is the last one below a blank line."""
    above = lines[index - 1].strip() if index else ""
    return above.isdigit() or (not above and not any(line.strip() for line in lines[index + 1 :]))


def _check_end(texts: list[str], name: str, line_number: int) -> None:
    """Refuse a script, or several lines of something else, below the last cue."""
    blank = texts.index("") if "" in texts else len(texts)
    named = [at for at in range(blank, len(texts)) if _NAMED_LINE.fullmatch(texts[at])]
    added = [at for at in range(blank, len(texts)) if texts[at]]
    if len(named) > 1 or len(added) > 2:
        first = (named if len(named) > 1 else added)[0]
        raise DataFormatError(
            f"{name}, line {line_number + first}: {texts[first][:60]!r} may belong to the cue above, "
            "or begin something else; delete the blank line above it, or put it into a file of its own."
        )


def _comments(lines: list[str], form: str) -> set[int]:
    """The lines of a WebVTT file's header, notes, styles and regions."""
    found: set[int] = set()
    if form != "vtt":
        return found
    inside = False
    for index, line in enumerate(lines):
        if not line.strip():
            inside = False
        elif not index or not lines[index - 1].strip():
            inside = bool(_NO_CUES.fullmatch(line.strip()))
        if inside and _TIMES.fullmatch(line):  # a header without a blank line below
            inside = False
        if inside:
            found.add(index)
    return found


def _is_identifier(lines: list[str], index: int, form: str) -> bool:
    if index < 0 or form == "sbv" or not lines[index].strip():
        return False
    if lines[index].strip().isdigit():
        return True
    alone = index == 0 or not lines[index - 1].strip()
    return form == "vtt" and alone and not _NO_CUES.fullmatch(lines[index].strip())


def _strict(clock: tuple[str | None, ...]) -> str | None:
    """Write a time as `HH:MM:SS.mmm`; None for one that does not exist."""
    hours, minutes, seconds = (int((part or "0")[:9]) for part in clock[:3])
    if hours > 99 or minutes > 59 or seconds > 59:
        return None
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{(clock[3] or '0').ljust(3, '0')}"


def _number_of_no_cue(lines: list[str], cues: list[_Checked]) -> str | None:
    """The number at the end of a file that was cut before the times of its cue."""
    used = [line.strip() for line in lines]
    while used and not used[-1]:
        used.pop()
    if not cues or len(used) < 2 or used[-2] or not used[-1].isdigit():
        return None
    above = used[cues[-1][0] - 2] if cues[-1][0] > 1 else ""
    return used[-1] if above.isdigit() and int(used[-1][-9:]) == int(above[-9:]) + 1 else None


def _parse_srt(cues: list[_Checked], name: str) -> list[Cue]:
    for number, (_, _, _, lines) in enumerate(cues):
        for line in lines:
            if _TWO_STAMPS.search(line):
                raise DataFormatError(
                    f"{name}, cue {number + 1}: {line[:60]!r} holds two times; "
                    "write --> between them, or leave one out."
                )
    blocks = [
        f"{number}\n{start} --> {end}\n" + "".join(f"{line}\n" for line in lines)
        for number, (_, start, end, lines) in enumerate(cues, 1)
    ]
    # pysubs2 takes a last line of digits for the number of the next cue, so there is one.
    content = "\n".join([*blocks, f"{len(blocks) + 1}\n"])
    events = _pysubs2().SSAFile.from_string(content, format_="srt", keep_html_tags=True)
    _check_count(len(events), cues, name)
    return [
        Cue(event.start / 1000, event.end / 1000, _lines_of(_TAG.sub("", event.text), False))
        for event in events
    ]


def _parse_vtt(cues: list[_Checked], name: str) -> list[Cue]:
    if webvtt is None:
        raise EmoNetError(f"{name}: WebVTT and SBV captions need webvtt-py; run `pip install webvtt-py`.")
    blocks = [f"{start} --> {end}\n" + "\n".join(lines) + "\n" for _, start, end, lines in cues]
    captions = webvtt.WebVTT.from_string("\n".join(["WEBVTT\n", *blocks])).captions
    _check_count(len(captions), cues, name)
    return [
        Cue(
            caption.start_time.in_milliseconds() / 1000,
            caption.end_time.in_milliseconds() / 1000,
            list(caption.lines),
        )
        for caption in captions
    ]


def _check_count(found: int, cues: list[_Checked], name: str) -> None:
    if found != len(cues):
        raise DataFormatError(
            f"{name}: {len(cues)} cues with times, but {found} can be read; save the file again "
            "with a subtitle editor."
        )


def _pysubs2() -> Any:
    if pysubs2 is None:
        raise EmoNetError("Subtitles need pysubs2; run `pip install pysubs2`.")
    return pysubs2


def _other_formats(text: str, name: str, form: str) -> tuple[list[Cue], list[str]]:
    """Read the formats that pysubs2 knows beside SubRip."""
    lines = split_lines(text)
    agents: list[str] = []
    has_rate = form != "microdvd" or bool(re.match(r"\s*\{1\}\{1\}\s*[\d.]+\s*$", lines[0]))
    if form in _LINE_CUES:
        content, expected = _line_cues(lines, name, form), sum(bool(line.strip()) for line in lines)
        expected -= form == "microdvd" and has_rate
    elif form == "ttml":
        if re.search(r"<!(?:DOCTYPE|ENTITY)", text):
            raise DataFormatError(f"{name}: XML with a DOCTYPE is not read; delete the DOCTYPE.")
        content = _SECONDS.sub(r'\1"\2s"', text.replace("\ufeff", "").strip())
        expected = len(_TTML_CUE.findall(text))
        agents = _agents(content)
    else:
        found = list(_events(lines, name))
        content, expected = "\n".join(["[Events]", *found]), len(found)
    try:
        events = _pysubs2().SSAFile.from_string(content, format_=form, **({} if has_rate else {"fps": 25.0}))
    except EmoNetError:
        raise
    except (
        ValueError,
        TypeError,
        NotImplementedError,
        SyntaxError,
        ArithmeticError,
        RecursionError,
    ) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataFormatError(
            f"{name}: cannot read {_TITLES[form]} ({reason}); save the file again with a "
            "subtitle editor, such as SubRip (.srt)."
        ) from error
    if len(events) != expected:
        raise DataFormatError(
            f"{name}: {expected} cues, but {len(events)} can be read; save the file again with a "
            "subtitle editor."
        )
    for event, agent in zip(events, agents if len(agents) == len(events) else (), strict=False):
        event.name = agent
    return _spoken(list(events), has_rate, form in ("ass", "ssa"))


def _agents(content: str) -> list[str]:
    """The speaker of each cue of TTML (`ttm:agent`), by the name in its head."""
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, RecursionError):
        return []  # pysubs2 says what is wrong
    names = {}
    for agent in root.iter(f"{_METADATA}agent"):
        name = agent.findtext(f"{_METADATA}name")
        names[agent.get("{http://www.w3.org/XML/1998/namespace}id")] = name
    found = []
    for part in root.iter():
        if part.tag.endswith("}div"):
            of_part = part.get(f"{_METADATA}agent", "")
            cues = (cue for cue in part if cue.tag.endswith("}p"))
            found += [cue.get(f"{_METADATA}agent", of_part) for cue in cues]
    return [names.get(agent) or agent for agent in found]


def _spoken(events: list[Any], has_rate: bool, by_time: bool) -> tuple[list[Cue], list[str]]:
    """Keep the events with text, without comments and drawings."""
    left_out: Counter[str] = Counter()
    cues = []
    for event in events:
        if event.is_comment:
            left_out["comment"] += 1
        elif any(_DRAWING.search(tags) for tags in _OVERRIDE.findall(event.text)):
            left_out["drawing"] += 1
        else:
            start, end = (event.start / 1000, event.end / 1000) if has_rate else (None, None)
            cues.append(Cue(start, end, _lines_of(event.text), event.name.strip()))
    notes = [f"{count} {what}{'s' * (count > 1)} left out" for what, count in left_out.items()]
    if not has_rate:
        notes.append("no times, as the frame rate is not in the file")
    ordered = sorted(cues, key=lambda cue: cue.start or 0) if by_time else cues
    if any(one is not other for one, other in zip(cues, ordered, strict=True)):
        notes.append("put in the order of time")
    return ordered, notes


def _line_cues(lines: list[str], name: str, form: str) -> str:
    for index, line in enumerate(lines):
        if line.strip() and (len(line) > _LONGEST_LINE or not _LINE_CUES[form].fullmatch(line)):
            raise DataFormatError(
                f"{name}, line {index + 1}: no cue in {line.strip()[:60]!r}; begin each line with its "
                f"times, such as {'{24}{48}' if form == 'microdvd' else '[10][25]'}, and write at most "
                f"{_LONGEST_LINE} characters."
            )
    return "\n".join(lines).strip()


def _events(lines: list[str], name: str) -> Iterator[str]:
    """Yield the events of an ASS or SSA file, with their fields in the usual order.

    Styles, fonts and pictures are left out: a wrong one is no reason to refuse the text.
    """
    section, fields = "events", _EVENT_FIELDS
    found: set[str] = set()
    for index, line in enumerate(lines):
        if heading := _SECTION.fullmatch(line):
            section = heading[1].strip().lower()
            if section in found:
                raise DataFormatError(
                    f"{name}, line {index + 1}: {line.strip()[:60]!r} stands above a second file; put the "
                    "two into files of their own."
                )
            found.add(section)
        elif section != "events" or not line.strip() or line.lstrip().startswith((";", "!")):
            continue
        elif line.lstrip().startswith("Format:"):
            fields = [field.strip().lower() for field in line.partition(":")[2].split(",")]
            fields = [
                "layer" if field == "marked" else "name" if field == "actor" else field for field in fields
            ]
        elif event := _EVENT.fullmatch(line):
            values = dict(zip(fields, event[2].split(",", len(fields) - 1), strict=False))
            if not {"start", "end", "text"} <= set(values):
                raise DataFormatError(
                    f"{name}, line {index + 1}: {len(values)} fields in {line.strip()[:60]!r}; "
                    f"write {', '.join(fields)}."
                )
            usual = [values.get(field, "" if field in ("name", "effect") else "0") for field in _EVENT_FIELDS]
            yield f"{event[1]}: {','.join(usual)}"
        elif not _OTHER_EVENT.match(line):
            raise DataFormatError(
                f"{name}, line {index + 1}: {line.strip()[:60]!r} is no cue; begin it with `Dialogue:` and "
                "its times, and write \\N for a line break."
            )


def _lines_of(text: str, has_tags: bool = True) -> list[str]:
    """The lines of an event's text, without override tags."""
    if has_tags:
        *closed, rest = text.split("}")
        text = "".join(part.partition("{")[0] if "{" in part else f"{part}}}" for part in closed) + rest
    return [line for part in re.split(r"\\[Nn]", text.replace("\\h", " ")) if (line := part.strip())]
