"""A hook of MkDocs that adds pages and pictures from elsewhere in the repository to the site.

Pages link to them by their path in the repository, so the links work wherever a page is read.
"""

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
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Point the links at the files in the site."""
    up = "../" * page.file.src_uri.count("/")
    for link, place in ELSEWHERE.items():
        markdown = markdown.replace(f"]({up}{link}", f"]({up}{place}")
    return markdown
