"""The colours of the figures: Okabe and Ito's palette, safe for colour-blind readers, for a light and a dark page."""

from dataclasses import dataclass, field

_ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _VERMILION, _PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)

SHAPES = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")
"""The marks of series, in the order of `Palette.series`: no series is told from another by its colour alone."""


@dataclass(frozen=True)
class Palette:
    """Colours by meaning; lines have a contrast of at least 3 to 1 with the page.

    Attributes:
        up: sessions that closed above their open, and good results.
        down: sessions that closed below, and bad results.
        model: the champion and its intervals.
        walk: the random walk, and whatever else is beside the champion.
        miss: closes outside both intervals, which nothing else may be taken for.
        page: the ground under a figure, around marks on candles.
        ghost: earlier forecasts.
        rule: reference lines.
        text: text in a figure.
        lines: overlays, in the order of their names. Readers who are blind to red, green or blue tell the first three
            apart by their colour, and the others by their dashes or marks alone.
    """

    up: str = _GREEN
    down: str = _VERMILION
    model: str = _BLUE
    walk: str = "#A34D7F"  # purple, darkened for a white page
    miss: str = "#111111"
    page: str = "#FFFFFF"
    ghost: str = "#6B7280"
    rule: str = "#6B7280"
    text: str = "#2F2D2B"
    lines: tuple[str, ...] = field(default=("#9A6A00", "#4B5563", _GREEN, "#A34D7F", _VERMILION, _BLUE))

    @property
    def series(self) -> tuple[str, ...]:
        """Models and strategies, the champion or the first of them in its own colour."""
        return tuple(dict.fromkeys((self.model, *self.lines)))


LIGHT = Palette()
DARK = Palette(
    up="#2BC79A",
    down="#F0803C",
    model=_SKY,
    walk=_PURPLE,
    miss=_YELLOW,
    page="#0E1117",
    ghost="#9CA3AF",
    rule="#9CA3AF",
    text="#EDEBE8",
    lines=(_ORANGE, "#D1D5DB", "#2BC79A", _PURPLE, "#F0803C", _SKY),
)


def faded(colour: str, opacity: float) -> str:
    """A colour with an opacity, in the notation of CSS.

    >>> faded("#0072B2", 0.2)
    'rgba(0, 114, 178, 0.2)'
    """
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"
