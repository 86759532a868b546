"""Write the parts of docs/ that follow from code and tables.

python -m deploy.docs
"""

import csv
import functools
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy import model_pages
from deploy.reference import api, cli, table, views
from pydantic.fields import FieldInfo

from tickercast.config import PREFIX, InHome, Settings
from tickercast.domain.files.price_titles import ALIASES, TITLES, WEAKER
from tickercast.domain.files.refusals import refusals as all_refusals

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
_CONFIGURATION = """# Settings

Every setting is read once, from the environment or from a file in `/run/secrets` named after it in lower case; the
environment comes first. A URL chooses the engine, nothing else does; any other URL is refused with a sentence. An
unknown variable that begins with `TICKERCAST_` is refused with the one that was probably meant. Google Cloud is
reached with the credentials of `gcloud auth application-default login`, or with those of the service account that the
function runs as. This page is generated from `src/tickercast/config.py` by `make docs`.

"""


_OPTIONS = {
    "-": "",
    "schedule": "unless `--prefect`",
    "alerts": "`--alert-urls`",
    "digest": "`--digest-urls`",
    "mlflow": "`--with-mlflow`",
    "dashboard": "`--with-dashboard`",
    "api": "`--with-api`",
    "hourly": "`--hourly`",
    "deployer": "`--deployer`",
    "deployer-mlflow": "`--deployer`, `--with-mlflow`",
    "deployer-dashboard": "`--deployer`, `--with-dashboard`",
    "deployer-api": "`--deployer`, `--with-api`",
}
"""The options by which permissions are granted, as permissions.tsv names them."""


def configuration() -> str:
    """docs/configuration.md."""
    described = dict(
        re.findall(
            r"^    (?:    )?(\w+): (.+?)(?=\n    (?:    )?\w+: |\n\n|\Z)", _attributes(), re.MULTILINE | re.DOTALL
        )
    )
    rows = [
        (f"`{variable(name)}`", default(field), " ".join(described[name].split()))
        for name, field in Settings.model_fields.items()
    ]
    return _CONFIGURATION + table(("setting", "default", "meaning"), rows) + "\n"


def default(field: FieldInfo) -> str:
    """The default of a setting, as its page shows it."""
    made = field.default_factory
    shown = made.format("$TICKERCAST_HOME") if isinstance(made, InHome) else str(field.default)
    return f"`{shown}`" if shown else ""


def permissions() -> str:
    """The table of permissions."""
    named = {
        "-": "",
        "quarantine": "objects under `quarantine/`",
        "sources": "buckets `gcf-v2-sources-…`",
        "prices": "objects under `ohlc/`",
        "quotas": "objects under `access/quota/`",
        "usage": "the table `usage`",
    }
    rows = [
        (row["who"], f"`{row['role']}`", row["on"], named[row["condition"]], _OPTIONS[row["when"]], row["why"])
        for row in _rows("permissions.tsv")
    ]
    return table(("who", "role", "on", "only", "with", "why"), rows)


def figures() -> str:
    """The tables of prices and usage, as one."""
    prices = [{**row, "kind": "list price"} for row in _rows("../sql/list_prices.tsv")]
    rows = [
        (row["name"], row["value"], row.get("free", ""), row["unit"], row["kind"], row["source"], row["date"])
        for row in [*prices, *_rows("figures.tsv")]
    ]
    return table(("figure", "value", "free a month", "unit", "kind", "source", "date"), rows)


def estimate() -> str:
    """The estimate that setup.sh prints."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "deploy" / "cost.py")], check=True, capture_output=True, text=True
    )
    return f"```text\n{done.stdout.rstrip()}\n```"


def titles() -> str:
    """The table of the titles that are understood."""
    rows = [
        (TITLES[column], ", ".join(f"`{title}`" for title in f"{names} {WEAKER.get(column, '')}".split()))
        for column, names in ALIASES.items()
    ]
    return table(("column", "titles"), rows)


def refusals() -> str:
    """The table of refusals."""
    rows = [(_escaped(each.seen), _escaped(each.remedy)) for each in all_refusals().values()]
    return table(("what it says", "what to do"), rows)


def _escaped(text: str) -> str:
    """A sentence with its places in italics; a bar would end the cell."""
    return re.sub(r"\{(\w+)[^}]*\}", r"*\1*", text).replace("|", r"\|")


def models() -> str:
    """The table of models."""
    return model_pages.index()


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration": configuration,
    "cli": cli,
    "views": views,
    **{f"models/{model.name}": functools.partial(model_pages.page, model) for model in model_pages.PAGES},
}
"""The pages that are generated whole, by name."""


def filled(text: str) -> str:
    """A page with its generated parts, each of which stands between two comments that name it."""
    for part in (permissions, figures, estimate, api, titles, refusals, models):
        mark = f"<!-- {part.__name__} -->"
        if mark in text:
            before, _, after = text.split(mark)
            text = f"{before}{mark}\n{part()}\n{mark}{after}"
    return text


def variable(field: str) -> str:
    """The environment variable of a setting."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


def _attributes() -> str:
    return (Settings.__doc__ or "").partition("Attributes:\n")[2]


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((PROJECT / "deploy" / name).read_text().splitlines(), delimiter="\t"))


def main() -> None:
    """Write them all."""
    (DOCS / "models").mkdir(exist_ok=True)
    for name, made in PAGES.items():
        (DOCS / f"{name}.md").write_text(made(), encoding="utf-8")
    for page in DOCS.glob("*.md"):
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
