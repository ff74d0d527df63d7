"""Anonymous mode: names of known persons become `Person 1`, `Person 2` …, the same one everywhere."""

import re
from collections import Counter
from collections.abc import Iterable

_SHORTEST = 3  # letters of a part of a name that is replaced on its own


class Anonymizer:
    """Replaces names in texts, whole (`Ross Geller`) or a part of them (`Ross`); parts that several share become `someone`.

    Nicknames that are no part of a name stay: nobody but a reader knows them.

    Args:
        names: The persons' names, in an order that stays; later names can be added at the end.
    """

    def __init__(self, names: Iterable[str]):
        self._people = {name: f"Person {number}" for number, name in enumerate(dict.fromkeys(names), 1)}
        parts = Counter(part for name in self._people for part in set(_parts(name)))
        known = dict(self._people)
        for name, person in self._people.items():
            for part in _parts(name):
                known.setdefault(part, person if parts[part] == 1 else "someone")
        self._known = known
        longest_first = sorted(known, key=lambda name: (-len(name), name))
        self._pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)") if known else None

    def name(self, name: str) -> str:
        """What stands for `name`; a name that is not known is `someone`."""
        return self._people.get(name, "someone")

    def __call__(self, text: str) -> str:
        """`text` without the names."""
        return self._pattern.sub(lambda match: self._known[match[1]], text) if self._pattern else text


def _parts(name: str) -> list[str]:
    return [part for part in name.split() if len(part) >= _SHORTEST and part[0].isupper()]
