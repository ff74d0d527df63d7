"""What people and machines might send: texts, names, turns, dialogues, JSON and files,
from usual to hostile.

Strategies are made once: making them costs more than drawing from them.
"""

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

NASTY_TEXTS = (
    "", " ", "\t", "\0", "a\0b", "\x1b[31mred", "\ud800", "\udfff\ud800 half", "\ufffe", "\ufeffmark", "\u2028", "\x85", "\r",
    "a\r\nb", "\n\n", "\u202eright to left\u202c", "\u0634\u0643\u0631\u0627", "e" + "\u0301" * 60, "\u200b", "👨‍👩‍👧‍👦", "🏳️‍🌈🇪🇺",
    "[SEP]", "[CLS] [PAD]", "<s>", "</s>", "<s1>", "<|im_end|>", "<mask>", "NaN", "None", "null", "-1", "{}", "[]", "Ann: hello",
    "'; DROP TABLE utterances; --", "O'Hara", '"', "\\", "%s", "{0}", "$metadata", "${usage}", "../../../etc/passwd", "~root",
    "|", "`", "<!-- emonet:begin usage -->", "<!-- emonet:end results -->", "---", "---\nlicense: x\n---\n", "1e999",
    "<script>alert(1)</script>", "((((((((((",
)  # fmt: skip
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
# Some are one name to `clean_text`, to a database or to the eye; some are roles, crowds,
# or nobody.
NASTY_NAMES = (
    "Ann", " Ann", "Ann ", "Ann\0", "ann", "ANN", "A\nnn", "\u00c5sa", "A\u030asa", "\u0410nn", "The Waiter", "the  waiter",
    "#ALL#", "user", "Both", "Ross and Joey", "x" * 100, "Ann@d1", "Ann:",
)  # fmt: skip


@cache
def texts() -> st.SearchStrategy[str]:
    """Any string that Python can hold, half characters among them, and the ones that have
    broken software.
    """
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
    """Any JSON, with NaN and numbers of any size as Python's own reader and writer let
    them pass.
    """
    scalars = st.one_of(st.none(), st.booleans(), numbers(), texts())
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts(), inner, max_size=4)),
        max_leaves=8,
    )


@cache
def turns() -> st.SearchStrategy[dict[str, Any]]:
    """A right turn, in either spelling."""
    return st.one_of(
        st.fixed_dictionaries({"speaker": names(), "text": texts()}),
        st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts()}),
    )


def dialogues(least: int = 1, most: int = 8) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Right dialogues; one in a while with 300 speakers."""
    crowd = st.sampled_from(NASTY_TEXTS).map(
        lambda text: [{"speaker": f"P{number}", "text": text} for number in range(300)]
    )
    usual = st.lists(turns(), min_size=least, max_size=most)
    return st.integers(0, 49).flatmap(lambda dice: crowd if dice == 49 else usual)


@st.composite
def damaged(draw: st.DrawFn, strategy: st.SearchStrategy[Any]) -> Any:
    """What `strategy` gives, with up to three places deep inside replaced by something
    else, left out or put in twice.
    """
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
        place = draw(st.integers(0, len(value) - 1))
        action = draw(st.sampled_from(["inside", "inside", "drop", "twice"]))
        if action == "drop":
            del value[place]
        elif action == "twice":
            value.insert(place, _copy(value[place]))
        else:
            value[place] = _damage(draw, value[place])
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
    """JSON text that is deeper than a reader's stack may be."""
    return "[" * depth + "]" * depth if kind == "[" else '{"turns":' * depth + "1" + "}" * depth


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=len(repr(value)) % 2 == 0)


def json_lines(value: Any) -> list[str]:
    """A line an item, or one line of what is no list."""
    return [*map(json_text, value)] if isinstance(value, list) else [json_text(value)]


@st.composite
def file_bytes(draw: st.DrawFn, lines: st.SearchStrategy[list[str]]) -> bytes:
    """Lines as a file: any line ends, with or without a mark, in some encoding, and now
    and then cut or with flipped bytes.
    """
    ends = draw(st.sampled_from([("\n",), ("\r\n",), ("\r",), ("\n", "\r\n", "\r", "\n\n")]))
    text = "".join(line + ends[number % len(ends)] for number, line in enumerate(draw(lines)))
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "latin-1"]))
    raw = text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        if raw:
            place = draw(st.integers(0, len(raw) - 1))
            raw = raw[:place] + draw(st.binary(max_size=2)) + raw[place + draw(st.integers(0, 2)) :]
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 9 else raw
