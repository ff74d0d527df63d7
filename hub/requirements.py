"""State the versions that the code needs, from the package's own requirements."""

import re
from importlib.metadata import PackageNotFoundError, requires

CHECKPOINT = ("torch", "transformers")  # all that a repository's code cannot do without


def lower_bounds(names: tuple[str, ...] = CHECKPOINT) -> list[str]:
    """Return `name>=version` of distributions, not the versions of this machine.

    Args:
        names: Names of distributions; without a bound, the name stands alone.
    """
    try:
        lines = requires("emonet") or []
    except PackageNotFoundError:  # the package's folder lies on the path
        lines = []
    bounds = {
        match[1].lower(): f"{match[1]}>={match[2]}"
        for line in lines
        if (match := re.match(r"([\w.-]+?)\s*\(?>=\s*([\w.]+)", line))
    }
    return [bounds.get(name, name) for name in names]
