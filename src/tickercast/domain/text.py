"""Text from a file or a message, made safe to quote in a sentence."""


def shown(seen: object, longest: int) -> str:
    """Text from a file, safe to quote: nothing in it moves a terminal's cursor or reverses text."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(seen)[:longest])


def one_line(error: Exception, longest: int = 160) -> str:
    """An error's message as one line, safe to quote."""
    return shown(" ".join(str(error).split()), longest)
