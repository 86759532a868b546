"""The errors are in one place, and drawn there as they are."""

import ast
import copy
import inspect
import re
from pathlib import Path

from tickercast import errors
from tickercast.errors import NoRecentBars, TickercastError

SOURCE = Path(errors.__file__).parent


def drawn() -> dict[str, str]:
    """The parent of each error, by name, as the docstring draws them."""
    found: dict[str, str] = {}
    above = ["TickercastError"]
    for line in (errors.__doc__ or "").splitlines():
        if at := re.match(r"    ([│ ]*)(?:├──|└──) (\w+)", line):
            above[len(at[1]) // 4 + 1 :] = [at[2]]
            found[at[2]] = above[-2]
    return found


def test_the_docstring_draws_every_error_below_its_parent() -> None:
    made = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, TickercastError)]
    assert drawn() == {each.__name__: each.__base__.__name__ for each in made if each is not TickercastError}


def test_no_other_module_has_errors_of_its_own() -> None:
    names = {*drawn(), "TickercastError"}
    elsewhere = [
        f"{path.relative_to(SOURCE)}: {node.name}"
        for path in SOURCE.rglob("*.py")
        if path != Path(errors.__file__)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and {ast.unparse(base).rpartition(".")[2] for base in node.bases} & names
    ]
    assert elsewhere == []


def test_what_an_error_says_of_its_source_can_be_said_under_another_name() -> None:
    error = copy.copy(NoRecentBars("has MSFT from 2000-01-03 to 2013-03-01.", "/srv/x has MSFT from"))
    assert str(error) == "/srv/x has MSFT from has MSFT from 2000-01-03 to 2013-03-01."
    assert str(error.of("The source")) == "The source has MSFT from 2000-01-03 to 2013-03-01."
    assert str(NoRecentBars("MSFT is stale.").of("The source")) == "MSFT is stale."
