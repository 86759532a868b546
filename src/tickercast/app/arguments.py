"""The arguments of the use cases: each is of the type that its method names, or is refused in one sentence.

mypy says the same earlier; a notebook has none.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import numpy as np
import pandas as pd

from tickercast.domain.calendar import from_numpy
from tickercast.domain.text import shown
from tickercast.errors import UsageError

C = TypeVar("C", bound=type)

_MANY = (Sequence, Iterable)  # of which use cases are given a list, so that each can go through it twice

_NAMES: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    bytes: "bytes",
    date: "a date",
    datetime: "a moment",
    Path: "a path",
    NoneType: "None",
}


def checks_arguments(cls: C) -> C:
    """Let the public methods of a class, inherited ones too, refuse arguments of other types than they name.

    >>> @checks_arguments
    ... class Shop:
    ...     def buy(self, names: str | Sequence[str], on: date | None = None) -> None: ...
    >>> Shop().buy(["bread"])
    >>> Shop().buy([1])
    Traceback (most recent call last):
    tickercast.errors.UsageError: names[0] is 1: a text was needed. Give that.
    """
    for owner in cls.__mro__[:-1]:
        for name, method in list(vars(owner).items()):
            if inspect.isfunction(method) and (name == "__init__" or not name.startswith("_")):
                setattr(owner, name, _checked(method))
    return cls


def _checked(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)
    hints = {name: parameter.annotation for name, parameter in signature.parameters.items() if name != "self"}

    @functools.wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        given = signature.bind(*args, **named)
        for name, hint in hints.items():
            if name in given.arguments:
                given.arguments[name] = _argument(name, given.arguments[name], hint)
        return method(*given.args, **given.kwargs)

    return call


def _argument(name: str, value: Any, hint: Any) -> Any:
    """The value, as a list where it is a column or a set and a sequence is wanted, and a date of numpy as Python's.

    Raises:
        UsageError: the value is of another type.
    """
    is_many = isinstance(value, Iterable) and not isinstance(value, str | bytes | Sequence | Mapping | pd.DataFrame)
    if is_many and any(get_origin(part) in _MANY for part in _parts(hint)):
        value = list(value)
    if date in _parts(hint):
        value = from_numpy(value)
    if not _fits(value, hint):
        name, value, hint = _wrong(name, value, hint)
        raise UsageError(f"{name} is {_seen(value)}: {_needed(hint)} was needed. Give that.")
    return value


def _wrong(name: str, value: Any, hint: Any) -> tuple[str, Any, Any]:
    """The part of a value that is of another type, down to the elements: its name, itself, and the type needed."""
    for part in _parts(hint):
        kind, inner = get_origin(part), get_args(part)
        if kind in _MANY and _is(value, Sequence[Any]):
            number = next(number for number, each in enumerate(value) if not _fits(each, inner[0]))
            return _wrong(f"{name}[{number}]", value[number], inner[0])
        if kind is Mapping and isinstance(value, Mapping):
            for key, each in value.items():
                if not _fits(key, inner[0]):
                    return _wrong(f"a key of {name}", key, inner[0])
                if not _fits(each, inner[1]):
                    return _wrong(f"{name}[{_seen(key)}]", each, inner[1])
    return name, value, hint


def _parts(hint: Any) -> Sequence[Any]:
    """The types of a union, or the only one; one that is imported for mypy only stays a name."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint]


def _fits(value: Any, hint: Any) -> bool:
    parts = _parts(hint)
    is_parsed = date in parts and str in parts  # so that a moment may have a zone
    return any(_is(value, part) for part in parts) or (is_parsed and _is(value, datetime))


def _is(value: Any, hint: Any) -> bool:
    """Whether a value is of one type, down to the elements of sequences and mappings."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return True
    if isinstance(kind, str):
        return any(each.__name__ == kind for each in type(value).__mro__)
    if kind is Callable:
        return callable(value)
    if kind in _MANY:
        return isinstance(value, Sequence) and not isinstance(value, str | bytes) and _are(value, inner[0])
    if kind is Mapping:
        return isinstance(value, Mapping) and _are(value, inner[0]) and _are(value.values(), inner[1])
    if kind in _STRICTER:
        return _STRICTER[kind](value)
    return isinstance(value, kind or NoneType)


def _are(values: Iterable[Any], hint: Any) -> bool:
    return all(_fits(each, hint) for each in values)


def _is_text(value: Any) -> bool:
    """Whether it is a text that files and tables can hold, such as any name of a file."""
    try:
        return isinstance(value, str) and b"\0" not in value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


_STRICTER: Mapping[Any, Callable[[Any], bool]] = {
    str: _is_text,
    Path: lambda value: isinstance(value, Path) and _is_text(str(value)),
    bool: lambda value: isinstance(value, bool | np.bool_),
    int: lambda value: isinstance(value, Integral) and not isinstance(value, bool),
    float: lambda value: isinstance(value, Real) and not isinstance(value, bool) and value == value,
    date: lambda value: isinstance(value, date) and value is not pd.NaT and getattr(value, "tzinfo", None) is None,
    datetime: lambda value: isinstance(value, datetime) and value is not pd.NaT,
}
"""The types of which Python takes more than the use cases do, or less."""


def _seen(value: Any) -> str:
    if isinstance(value, str | Path) and not _is_text(str(value)):
        return f"{shown(ascii(str(value)), 40)}, which no file or table can hold"
    if isinstance(value, datetime) and value.tzinfo:
        return f"{value}, with a time zone"
    if value is None or isinstance(value, str | int | float | list | tuple | date | np.datetime64):
        return shown(repr(value), 40)
    return f"a {type(value).__name__}"


def _needed(hint: Any) -> str:
    return " or ".join(dict.fromkeys(_name(part) for part in _parts(hint)))


def _name(hint: Any) -> str:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is Callable:
        return "a function"
    if kind in _MANY:
        return f"a list, each of it {_needed(inner[0])},"
    if kind is Mapping:
        return f"a mapping of {_needed(inner[0])} to {_needed(inner[1])}"
    return _NAMES.get(kind or NoneType) or f"a {kind if isinstance(kind, str) else kind.__name__}"
