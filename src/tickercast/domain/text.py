"""Text from a file or a message, made safe to quote in a sentence."""

from tickercast.plain import printable


def shown(seen: object, longest: int) -> str:
    """Text from a file, safe to quote: nothing in it moves a terminal's cursor or reverses text."""
    return printable(str(seen)[:longest]).replace("\n", "\N{REPLACEMENT CHARACTER}")


def one_line(error: Exception, longest: int = 160) -> str:
    """An error's message as one line, safe to quote."""
    return shown(" ".join(str(error).split()), longest)
