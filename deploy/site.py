"""A hook of MkDocs that adds pages and pictures from elsewhere in the repository to the site.

Pages link to them by their path in the repository, so the links work wherever a page is read. The notebook becomes a
page.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PROJECT = Path(__file__).parents[1]
ELSEWHERE = {
    "../benchmarks/accuracy.png": "images/accuracy.png",
    "../CHANGELOG.md": "changelog.md",
    "../src/tickercast/shipped/models/tickercast-lstm/1/MODEL_CARD.md": "model-card.md",
    **{
        f"../src/tickercast/shipped/models/{name}/1/MODEL_CARD.md": f"{name}.md"
        for name in ("har-season", "ewma-season", "tickercast-lstm-1h", "tickercast-plain-1h", "xgb-direction")
    },
}
"""Links to files outside docs/, and the paths of these files in the site."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the files to the site."""
    for link, place in ELSEWHERE.items():
        made = File.generated(config, place, abs_src_path=str((PROJECT / "docs" / link).resolve()))
        files.append(made)
    book = json.loads((PROJECT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    files.append(File.generated(config, "notebook.md", content=notebook(book)))
    return files


def notebook(book: Mapping[str, Any]) -> str:
    """A notebook as Markdown: code, and below it what it printed and drew."""
    return "\n\n".join(part for cell in book["cells"] for part in _parts(cell)) + "\n"


def _parts(cell: Mapping[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for each in cell["outputs"]:
        shown = each.get("data", {"text/plain": each.get("text")})
        if "image/png" in shown:
            yield f"![What the cell draws](data:image/png;base64,{shown['image/png']})"
        else:
            yield f"```text\n{''.join(shown['text/plain']).rstrip()}\n```"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Point the links at the files in the site."""
    markdown = markdown.replace("](notebook.ipynb)", "](notebook.md)")
    up = "../" * page.file.src_uri.count("/")
    for link, place in ELSEWHERE.items():
        markdown = markdown.replace(f"]({up}{link}", f"]({up}{place}")
    return markdown
