"""Give each emotion a colour that the colour-blind can tell apart, and a symbol."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """The look of an emotion.

    Attributes:
        colour: Its colour as `#rrggbb`.
        ink: The colour of text on it.
        symbol: Its symbol as text.
        marker: The marker that draws the symbol in matplotlib.
    """

    colour: str
    ink: str
    symbol: str
    marker: str


# Okabe & Ito, "Color Universal Design" (2008), with a lighter grey, which is easier to
# tell from the purple.
_COLOURS = {
    "yellow": "#f0e442",
    "vermillion": "#d55e00",
    "grey": "#bdbdbd",
    "sky": "#56b4e9",
    "green": "#009e73",
    "blue": "#0072b2",
    "purple": "#cc79a7",
    "orange": "#e69f00",
}
_SYMBOLS = {
    "▲": "^",
    "■": "s",
    "●": "o",
    "◆": "D",
    "★": "*",
    "▼": "v",
    "✚": "P",
    "✖": "X",
    "⬟": "p",
    "◀": "<",
    "▶": ">",
    "⬢": "h",
}
# Emotions by the stems of their names in different label sets.
_FAMILIES = (
    (("joy", "happ", "excit", "amus", "fun"), "yellow", "▲"),
    (("ang", "mad", "annoy", "rage", "frustrat"), "vermillion", "■"),
    (("neutral", "none", "other", "no emotion"), "grey", "●"),
    (("peace", "calm", "trust", "love", "relax", "relief"), "sky", "◆"),
    (("power", "proud", "pride", "disgust"), "green", "★"),
    (("sad", "grief", "disappoint"), "blue", "▼"),
    (("scare", "fear", "nervous", "afraid", "anxi"), "purple", "✖"),
    (("surpris", "wonder"), "orange", "✚"),
)


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """Return a look for every label.

    The first twelve labels have different symbols, the first eight different colours.
    """
    chosen: dict[str, tuple[str, str]] = {}
    for label in labels:
        for stems, colour, symbol in _FAMILIES:
            if label.casefold().startswith(stems) and (colour, symbol) not in chosen.values():
                chosen[label] = (colour, symbol)
                break
    for label in labels:
        if label not in chosen:
            chosen[label] = (_least_used(_COLOURS, chosen, 0), _least_used(_SYMBOLS, chosen, 1))
    return {label: _look(*chosen[label]) for label in labels}


def _least_used(choices: Iterable[str], chosen: Mapping[str, tuple[str, str]], column: int) -> str:
    taken = [pair[column] for pair in chosen.values()]
    return min(choices, key=taken.count)


def _look(colour: str, symbol: str) -> Look:
    code = _COLOURS[colour]
    ink = max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, code))
    return Look(code, ink, symbol, _SYMBOLS[symbol])


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2; text needs 4.5)."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def linear_rgb(colour: str) -> list[float]:
    """Return red, green and blue light, 0 to 1, of `#rrggbb` (sRGB, IEC 61966-2-1)."""
    values = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def _luminance(colour: str) -> float:
    red, green, blue = linear_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
