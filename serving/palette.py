"""How an emotion looks: a colour that the colour-blind can tell apart, and a symbol,
since colour alone says nothing to some.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """Colour and ink (what is written on it) as `#rrggbb`, the symbol as text, and the
    marker that draws it in matplotlib.
    """

    colour: str
    ink: str
    symbol: str
    marker: str


# Okabe & Ito, "Color Universal Design" (2008), the grey made lighter so that it keeps its
# distance from the purple.
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
# Families of emotions that label sets have under several names.
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
    """A look for every label. No two share a symbol among the first twelve, nor a colour
    among the first eight.
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


def _least_used(choices: Iterable[str], chosen: Mapping[str, tuple[str, str]], which: int) -> str:
    taken = [pair[which] for pair in chosen.values()]
    return min(choices, key=taken.count)


def _look(colour: str, symbol: str) -> Look:
    code = _COLOURS[colour]
    ink = max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, code))
    return Look(code, ink, symbol, _SYMBOLS[symbol])


def contrast(one: str, other: str) -> float:
    """Contrast of two colours from 1 to 21 (WCAG 2.2, contrast ratio); text needs 4.5."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def linear_rgb(colour: str) -> list[float]:
    """`#rrggbb` → red, green and blue light from 0 to 1 (sRGB, IEC 61966-2-1)."""
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def _luminance(colour: str) -> float:
    red, green, blue = linear_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
