"""Clean names, find known persons, and tell persons from roles.

A person is the same in every dialogue, a role (`The Waiter`, `SPEAKER_00`) another one.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

from ..errors import EmoNetError
from .role_words import CHAT_ROLES, FAMILY_NAMES, NOBODY, ROLES

RULES = ("auto", "persons", "roles")

# Characters without a form of their own that are not in the category Cf: fillers, the
# grapheme joiner and variation selectors (Unicode 16, DerivedCoreProperties,
# Default_Ignorable_Code_Point).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_ARTICLE = re.compile(r"(the|a|an|another|some|her|his|their)[\s-]", re.IGNORECASE)
_NUMBER_WORDS = frozenset(("no", "nr", "num", "number", "numero", "nummer", "n°"))
_ORDINAL = re.compile(r"(?<!\w)\d+(st|nd|rd|th)(?!\w)")
_CJK = "\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff"
# Between a letter and a digit, and before the letter of `話者A` and `说话人甲`.
_JOINT = re.compile(
    rf"(?<=\d)(?=[^\W\d])|(?<=[^\W\d])(?=\d)|(?<=[{_CJK}])(?=[a-z]$)|(?<=[{_CJK}])(?=[甲乙丙丁]$)"
)
_SEPARATORS = re.compile(r"[\s/#_.:]+|-(?=\s|\d|[^\W\d]?$)|(?<=\d)-")
_LETTER = re.compile("[^\\W\\d_\u1100-\u11ff\u3040-\uffff]|[甲乙丙丁]")
_BRACKETS = "[](){}<>«»‹›*\"“”„'‘’ :：,;"


def _folded(name: str) -> str:
    """A name without case, accents and compatibility forms (`②`, full-width letters)."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(char for char in plain if unicodedata.category(char) != "Mn").replace("ı", "i")


_ROLES, _CHAT_ROLES = frozenset(map(_folded, ROLES)), frozenset(map(_folded, CHAT_ROLES))
_NOBODY, _FAMILY_NAMES = frozenset(map(_folded, NOBODY)), frozenset(map(_folded, FAMILY_NAMES))


@lru_cache(maxsize=1 << 16)
def clean_name(name: str) -> str:
    """Normalize a name: NFC, no invisible or control characters, single blanks.

    Two names that look the same are then the same string. Format and bidirectional
    marks, zero-width characters and variation selectors are removed.
    """
    if name.isascii() and name.isprintable():
        return " ".join(name.split())
    visible = []
    for char in _INVISIBLE.sub("", name):
        category = unicodedata.category(char)
        if category != "Cf":
            visible.append(" " if category in ("Cc", "Cs") else char)
    return " ".join(unicodedata.normalize("NFC", "".join(visible)).split())


def same_case(name: str) -> str:
    """Fold the case of a name, by which spellings of a person are compared."""
    return unicodedata.normalize("NFC", clean_name(name).casefold())


class KnownNames:
    """Known persons, found by any unambiguous spelling of their names.

    Args:
        names: The persons, as they are stored.
    """

    def __init__(self, names: Iterable[str] = ()):
        self._stored: dict[str, str] = {}  # cleaned name → as it is stored
        self._spellings: dict[str, list[str]] = {}  # name in one case → as they are stored
        for name in names:
            cleaned = clean_name(name)
            if cleaned not in self._stored:
                self._stored[cleaned] = name
                self._spellings.setdefault(same_case(name), []).append(name)

    def find(self, name: str) -> str | None:
        """Return the known person of a name: the same one, else the only other spelling.

        `ROSS` is the known `Ross`; where `Ross` and `ROSS` are known, `ross` is neither.
        """
        found = self._stored.get(clean_name(name))
        if found is None and len(spellings := self.spellings(name)) == 1:
            return spellings[0]
        return found

    @cached_property
    def family_names(self) -> frozenset[str]:
        """The family names of those with full names, where they look like roles."""
        return frozenset().union(*map(_family_name, self))

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored.values())

    def spellings(self, name: str) -> Sequence[str]:
        """Return the known persons whose names differ from `name` by case at most."""
        return self._spellings.get(same_case(name), ())


@lru_cache(maxsize=16)
def known_names(names: tuple[str, ...]) -> KnownNames:
    """Return the index of known persons, which is kept for the next call."""
    return KnownNames(names)


@lru_cache(maxsize=1 << 16)
def is_role(name: str) -> bool:
    """Whether a name by itself is a role (`The Waiter`, `SPEAKER_00`) or a crowd.

    A role has a leading `#`, a leading article or `Another`, `Her`, …, or role words
    only, with or without a number or letter; or it is a letter, a short number or both
    (`A`, `1`, `S1`). [`speaker_kinds`] decides by the other names too.
    """
    name = clean_name(name).strip(_BRACKETS)
    if not name or name == "AI" or is_crowd(name) or _ARTICLE.match(name.casefold()):
        return True
    words, suffixes = _parts(name)
    numbers = [suffix.lstrip("0") for suffix in suffixes if suffix.isdigit()]
    short = all(len(number) <= 2 for number in numbers)  # larger ones count people, not speakers
    if not words:
        return bool(suffixes) and short and len(numbers) <= 1
    if not short and all(word in _CHAT_ROLES for word in words):
        return False
    if " ".join(words) in _ROLES:
        return True
    words = [part for word in words for part in ([word] if word in _ROLES else word.split("-"))]
    return all(word in _ROLES or word.removesuffix("s") in _ROLES for word in words)


def is_crowd(name: str) -> bool:
    """Whether `name` is a crowd or nobody in particular (`#ALL#`, `#UNKNOWN#`)."""
    return name.strip().startswith("#")


@dataclass(frozen=True)
class SpeakerKinds:
    """Decide which speakers are persons and which are roles of their dialogue.

    Attributes:
        rule: `auto` (by their names), `persons` (all the same in every dialogue) or
            `roles` (all others in every dialogue).
        persons: Names, in one case, that are persons whatever they look like.
        names: The names that were decided on, for the note.
        given: The persons among `persons` that the user named.
    """

    rule: str = "auto"
    persons: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    def is_role(self, name: str) -> bool:
        """Whether `name` is another person in every dialogue."""
        if self.rule == "auto":
            return is_role(name) and same_case(name) not in self.persons
        if self.rule == "persons":
            return is_crowd(clean_name(name)) or _is_nobody(name)
        return True

    def identity(self, name: str, dialogue_id: str) -> str:
        """Return the key of a speaker: a person's name, or a role in this dialogue."""
        return f"{name}@{dialogue_id}" if self.is_role(name) else name

    def note(self) -> str:
        """Say in a sentence what was decided; empty where all are plainly persons."""
        names = [name for name in self.names if not is_crowd(name)]
        if self.rule == "roles":
            return _note(names, "role", "--speakers persons: {same} in every file")
        decided = [name for name in names if is_role(name) and not _ARTICLE.match(name)]
        roles = [name for name in decided if self.is_role(name)]
        persons = [name for name in decided if not self.is_role(name)]
        notes = (
            _note(roles, "role", "--speakers persons: {same} in every file"),
            _note(persons, "person", "--speakers roles: {others} in every file"),
        )
        return "; ".join(filter(None, notes))

    @property
    def record(self) -> str | list[str]:
        """The rule, or the persons that the user named, as JSON."""
        return list(self.given) or self.rule

    @property
    def version(self) -> str:
        """The suffix of a data set's version, empty for `auto`."""
        if not self.given:
            return "" if self.rule == "auto" else f"+{self.rule}"
        return f"+persons.{hashlib.sha256(repr(sorted(self.given)).encode()).hexdigest()[:8]}"


# What callers may give: a rule, names of persons (a list, or separated by commas).
Speakers: TypeAlias = str | Sequence[str] | SpeakerKinds


def speaker_kinds(
    names: Iterable[str] = (), given: Speakers = "auto", known: Iterable[str] | KnownNames = ()
) -> SpeakerKinds:
    """Decide which of the speakers of an input are persons.

    By default, a name that looks like a role is one, unless the model knows it as a
    person, or it is the family name of a full name (`Young` beside `Neil Young`).

    Args:
        names: All names of the input.
        given: `auto`, `persons`, `roles`, or the names of persons; the others are decided
            as with `auto`. A finished decision is returned as it is.
        known: The persons that the model knows.

    Raises:
        ValueError: for a value that is neither.
    """
    if isinstance(given, SpeakerKinds):
        return given
    rule, persons = _rule_and_persons(given)
    cleaned = tuple(dict.fromkeys(map(clean_name, names)))
    if rule != "auto":
        return SpeakerKinds(rule, names=cleaned)
    index = known if isinstance(known, KnownNames) else KnownNames(known)
    full_names = None
    decided = {same_case(name) for name in persons}
    for name in cleaned:
        if not is_role(name) or is_crowd(name):
            continue
        if full_names is None:
            full_names = index.family_names.union(*map(_family_name, cleaned))
        if index.find(name) is not None or same_case(name) in full_names:
            decided.add(same_case(name))
    return SpeakerKinds(rule, frozenset(decided), cleaned, persons)


AUTO = SpeakerKinds()


def refuse_unknown_persons(kinds: SpeakerKinds) -> None:
    """Raise EmoNetError if the user named a person that the input does not have."""
    known = KnownNames(kinds.names)
    missing = [name for name in kinds.given if known.find(name) is None]
    if missing:
        raise EmoNetError(
            f"--speakers: no speaker {missing[0]!r}; the speakers are {', '.join(kinds.names[:20])}."
        )


def identity(name: str, dialogue_id: str, kinds: SpeakerKinds = AUTO) -> str:
    """The key of a speaker: a person's name, or a role in this dialogue."""
    return kinds.identity(name, dialogue_id)


def _rule_and_persons(given: str | Sequence[str]) -> tuple[str, tuple[str, ...]]:
    if isinstance(given, str):
        if given.strip().casefold() in RULES:
            return given.strip().casefold(), ()
        given = given.split(",")
    valid = isinstance(given, (list, tuple, set, frozenset)) and all(isinstance(name, str) for name in given)
    names = tuple(dict.fromkeys(map(clean_name, given))) if valid else ()
    if not names or not all(names):
        raise ValueError(f"speakers={given!r} is not auto, persons, roles, or the names of persons.")
    if len(names) == 1 and names[0].casefold() in RULES:
        return names[0].casefold(), ()
    return "auto", names


def _parts(name: str) -> tuple[list[str], list[str]]:
    """Split a name into its words, and the numbers and letters that count roles."""
    folded = _ORDINAL.sub(" 1 ", _folded(name))
    tokens = [token.strip(_BRACKETS) for token in _SEPARATORS.split(_JOINT.sub(" ", folded))]
    tokens = [token for token in tokens if token]
    words = [token for token in tokens if not token.isdigit() and token not in _NUMBER_WORDS]
    letters = [word for word in words if _LETTER.fullmatch(word)]
    if len(letters) == 1 and (letters[0] == words[-1] or len(words) == 1) and not _is_initial(folded):
        words.remove(letters[0])
    else:
        letters = []
    return words, [token for token in tokens if token.isdigit()] + letters


def _is_initial(folded: str) -> bool:
    """Whether a name ends with an initial, as `Guy M.` does, which `A.` does not."""
    return folded.endswith(".") and len(folded) > 2


def _is_nobody(name: str) -> bool:
    words, _ = _parts(clean_name(name).strip(_BRACKETS))
    return is_role(name) and (" ".join(words) in _NOBODY or any(word in _NOBODY for word in words))


def _family_name(name: str) -> list[str]:
    """The family name of a full name, where it looks like a role."""
    words = name.split()
    if len(words) < 2 or is_role(name) or "@" in name:
        return []
    *given, last = words
    plain = all(word[:1].isalpha() and not word.endswith(("'s", "’s", "s'", "s’")) for word in given)
    articles = {"the", "of", "a", "an", "and", "in", "on"}
    if not plain or _folded(last) not in _FAMILY_NAMES or articles & {word.casefold() for word in given}:
        return []
    return [same_case(last)]


def _note(names: Sequence[str], kind: str, otherwise: str) -> str:
    if not names:
        return ""
    shown, more = list(names[:5]), len(names) - 5
    if more > 0:
        shown.append(f"{more} more")
    who = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    one = len(names) == 1
    what = {
        "role": "a role of this conversation" if one else "roles of this conversation",
        "person": "a person" if one else "persons",
    }[kind]
    same = "the same person" if one else "the same people"
    others = "another person" if one else "other people"
    return f"{who} {'is' if one else 'are'} taken for {what} ({otherwise.format(same=same, others=others)})"
