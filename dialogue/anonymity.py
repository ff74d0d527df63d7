"""Anonymous mode: names of known persons become `Person 1`, `Person 2` …, the same one
everywhere.
"""

import re
from collections import Counter
from collections.abc import Iterable

_SHORTEST = 3  # letters of a part of a name that is replaced on its own


class Anonymizer:
    """Replaces names in texts, whole (`Ross Geller`) or a part of them (`Ross`); parts
    that several share become `someone`.

    A shouted name (`ROSS`) is found too. Nicknames that are no part of a name stay, since
    nobody but a reader knows them; so do names in small letters, many of which are words
    (`joy`, `will`).

    Args:
        names: The persons' names, in an order that stays; later names can be added at the
            end.
    """

    def __init__(self, names: Iterable[str]):
        self._people = {name: f"Person {number}" for number, name in enumerate(dict.fromkeys(names), 1)}
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
        """What stands for `name`; a name that is not known is `someone`."""
        return self._people.get(name, "someone")

    def __call__(self, text: str) -> str:
        """`text` without the names."""
        return self._pattern.sub(lambda match: self._known[match[1]], text) if self._pattern else text


def any_of_words(words: Iterable[str]) -> re.Pattern[str]:
    """Finds each of the words where it stands alone, the longest first."""
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)")


def name_parts(name: str) -> list[str]:
    """The parts of a name that a person may be called by."""
    return [part for part in name.split() if len(part) >= _SHORTEST and part[0].isupper()]
