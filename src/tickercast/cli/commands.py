"""Commands whose help names arguments as they are written here, without Python's types and Typer's own marks."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand


class Command(TyperCommand):
    """A command whose help shows each argument by its metavar alone, which says itself what may be left out."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the first line of the help that follow the command's name."""
        return [self.options_metavar or "", *(_name(each) for each in self.get_params(ctx) if _is_argument(each))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options, each with its help."""
        told: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for each in self.get_params(ctx):
            name, text = each.get_help_record(ctx) or ("", "")
            if _is_argument(each):
                told["Arguments"].append((_name(each), text))
            elif name:
                told["Options"].append((name, text))
        for title, rows in told.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Commands(typer.Typer):
    """A group of such commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(rich_markup_mode=None, **options)

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = Command, **options: Any
    ) -> Callable[[Any], Any]:
        """Make a function a command; see `typer.Typer.command`."""
        return super().command(name, cls=cls, **options)


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _name(argument: Any) -> str:
    return str(argument.metavar)
