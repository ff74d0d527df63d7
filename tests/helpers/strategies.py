"""Hypothesis strategies for texts, names, turns, dialogues, JSON and files.

They range from usual to hostile. Strategies are cached, because building one costs more
than drawing from it.
"""

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

_CONTROL_CHARACTERS = ("", " ", "\t", "\0", "a\0b", "\x1b[31mred")
_BROKEN_UNICODE = ("\ud800", "\udfff\ud800 half", "\ufffe", "\ufeffmark")
_LINE_ENDS = ("\u2028", "\x85", "\r", "a\r\nb", "\n\n")
_SCRIPTS = (
    "\u202eright to left\u202c",
    "\u0634\u0643\u0631\u0627",
    "e" + "\u0301" * 60,
    "\u200b",
    "👨‍👩‍👧‍👦",
    "🏳️‍🌈🇪🇺",
)
_SPECIAL_TOKENS = ("[SEP]", "[CLS] [PAD]", "<s>", "</s>", "<s1>", "<|im_end|>", "<mask>")
_LITERALS = ("NaN", "None", "null", "-1", "{}", "[]", "Ann: hello")
_INJECTIONS = (
    "'; DROP TABLE utterances; --",
    "O'Hara",
    '"',
    "\\",
    "%s",
    "{0}",
    "$metadata",
    "${usage}",
    "../../../etc/passwd",
    "~root",
)
_MARKUP = ("|", "`", "<!-- emonet:begin usage -->", "<!-- emonet:end results -->")
_FRONT_MATTER = ("---", "---\nlicense: x\n---\n")
_OTHERS = ("1e999", "<script>alert(1)</script>", "((((((((((")
NASTY_TEXTS = (
    *_CONTROL_CHARACTERS,
    *_BROKEN_UNICODE,
    *_LINE_ENDS,
    *_SCRIPTS,
    *_SPECIAL_TOKENS,
    *_LITERALS,
    *_INJECTIONS,
    *_MARKUP,
    *_FRONT_MATTER,
    *_OTHERS,
)
LONG_TEXTS = (
    ("a", 5000),
    ("word ", 3000),
    (" ", 4000),
    (":", 200),
    ("9", 5000),
    ("[", 3000),
    ("😀", 300),
    ("\n", 50),
)
# Some spellings are one name to `clean_text`, to a database or to the eye; some names are
# roles, groups, or nobody.
_SPELLINGS = ("Ann", " Ann", "Ann ", "Ann\0", "ann", "ANN", "A\nnn", "\u00c5sa", "A\u030asa", "\u0410nn")
_ROLES = ("The Waiter", "the  waiter", "#ALL#", "user", "Both", "Ross and Joey")
NASTY_NAMES = (*_SPELLINGS, *_ROLES, "x" * 100, "Ann@d1", "Ann:")


@cache
def texts() -> st.SearchStrategy[str]:
    """Any string that Python can hold, lone surrogates included, and known bad ones."""
    return st.one_of(
        st.sampled_from(NASTY_TEXTS),
        st.builds(
            lambda piece, end: piece[0] * piece[1] + end,
            st.sampled_from(LONG_TEXTS),
            st.sampled_from(["", "x", ": x"]),
        ),
        st.text(st.characters(exclude_categories=()), max_size=30),
        st.text(st.sampled_from("hello there how are you 0123\n:'\"😀"), max_size=60),
    )


@cache
def names() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(NASTY_NAMES), texts())


@cache
def numbers() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.integers(),
        st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, True]),
        st.floats(),
        st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, -0.0]),
    )


@cache
def json_values() -> st.SearchStrategy[Any]:
    """Any JSON that Python reads and writes, so with NaN and numbers of any size."""
    scalars = st.one_of(st.none(), st.booleans(), numbers(), texts())
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts(), inner, max_size=4)),
        max_leaves=8,
    )


@cache
def turns() -> st.SearchStrategy[dict[str, Any]]:
    """A valid turn, with `speaker` and `text` or with `role` and `content`."""
    return st.one_of(
        st.fixed_dictionaries({"speaker": names(), "text": texts()}),
        st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts()}),
    )


def dialogues(least: int = 1, most: int = 8) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Valid dialogues; one in fifty has 300 speakers."""
    crowd = st.sampled_from(NASTY_TEXTS).map(
        lambda text: [{"speaker": f"P{index}", "text": text} for index in range(300)]
    )
    usual = st.lists(turns(), min_size=least, max_size=most)
    return st.integers(0, 49).flatmap(lambda dice: crowd if dice == 49 else usual)


@st.composite
def damaged(draw: st.DrawFn, strategy: st.SearchStrategy[Any]) -> Any:
    """A value of `strategy` with up to three parts replaced, left out or doubled."""
    value = _copy(draw(strategy))
    for _ in range(draw(st.integers(0, 3))):
        value = _damage(draw, value)
    return value


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _damage(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 7)) == 7:
        return draw(json_values())
    if isinstance(value, list):
        index = draw(st.integers(0, len(value) - 1))
        action = draw(st.sampled_from(["inside", "inside", "drop", "twice"]))
        if action == "drop":
            del value[index]
        elif action == "twice":
            value.insert(index, _copy(value[index]))
        else:
            value[index] = _damage(draw, value[index])
        return value
    key = draw(st.sampled_from(list(value)))
    action = draw(st.sampled_from(["inside", "inside", "drop", "rename"]))
    if action == "inside":
        value[key] = _damage(draw, value[key])
        return value
    taken = value.pop(key)
    if action == "rename":
        value[draw(texts())] = taken
    return value


def nested(depth: int, kind: str = "[") -> str:
    """JSON text that may be deeper than a reader's stack."""
    return "[" * depth + "]" * depth if kind == "[" else '{"turns":' * depth + "1" + "}" * depth


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=len(repr(value)) % 2 == 0)


def json_lines(value: Any) -> list[str]:
    """One line per item of a list, or one line for any other value."""
    return [*map(json_text, value)] if isinstance(value, list) else [json_text(value)]


@st.composite
def file_bytes(draw: st.DrawFn, lines: st.SearchStrategy[list[str]]) -> bytes:
    """Lines as a file with any line ends and encoding, sometimes cut or damaged."""
    ends = draw(st.sampled_from([("\n",), ("\r\n",), ("\r",), ("\n", "\r\n", "\r", "\n\n")]))
    text = "".join(line + ends[index % len(ends)] for index, line in enumerate(draw(lines)))
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "latin-1"]))
    raw = text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        if raw:
            offset = draw(st.integers(0, len(raw) - 1))
            raw = raw[:offset] + draw(st.binary(max_size=2)) + raw[offset + draw(st.integers(0, 2)) :]
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 9 else raw
