"""Replace names of known persons by `Person 1`, `Person 2` … consistently."""

import re
from collections import Counter
from collections.abc import Iterable

_SHORTEST = 3  # letters that part of a name needs to be replaced on its own


class Anonymizer:
    """Replace names in texts, whole (`Ross Geller`) or in part (`Ross`).

    A part that several persons share becomes `someone`. Upper-case names (`ROSS`) are
    replaced too. Nicknames that are not part of a name stay, and so do names in lower
    case, many of which are words (`joy`, `will`).

    Args:
        names: The persons' names in a stable order; new names may be appended.
    """

    def __init__(self, names: Iterable[str]):
        self._people = {name: f"Person {index}" for index, name in enumerate(dict.fromkeys(names), 1)}
        parts = Counter(part for name in self._people for part in set(name_parts(name)))
        known = dict(self._people)
        for name, person in self._people.items():
            for part in name_parts(name):
                known.setdefault(part, person if parts[part] == 1 else "someone")
        for name in list(known):
            known.setdefault(name.upper(), known[name])
        self._known = known
        self._pattern = any_of_words(known) if known else None

    def name(self, name: str) -> str:
        """The replacement of `name`; `someone` for an unknown name."""
        return self._people.get(name, "someone")

    def __call__(self, text: str) -> str:
        """Replace the names in `text`."""
        return self._pattern.sub(lambda match: self._known[match[1]], text) if self._pattern else text


def any_of_words(words: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds each of the words on its own, the longest first."""
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)")


def name_parts(name: str) -> list[str]:
    """The parts of a name that a person may be called by."""
    return [part for part in name.split() if len(part) >= _SHORTEST and part[0].isupper()]
