"""Run docs/notebook.ipynb, and keep the outputs in it; `deploy.site` renders it as a page.

python -m deploy.notebook
"""

import ast
import contextlib
import io
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def read() -> dict[str, Any]:
    """The notebook as it is stored."""
    book: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return book


def run(book: dict[str, Any]) -> dict[str, Any]:
    """Run every cell, set its outputs, and return what the names of the notebook stand for then."""
    import matplotlib

    matplotlib.use("agg")
    held: dict[str, Any] = {}
    for number, cell in enumerate((cell for cell in book["cells"] if cell["cell_type"] == "code"), start=1):
        cell |= {"execution_count": number, "outputs": list(_outputs("".join(cell["source"]), number, held))}
    return held


def _outputs(source: str, number: int, held: dict[str, Any]) -> Iterator[dict[str, Any]]:
    code, printed = ast.parse(source), io.StringIO()
    last, value = code.body[-1], None
    with contextlib.redirect_stdout(printed):
        if isinstance(last, ast.Expr):
            code.body.pop()
        exec(compile(code, f"cell {number}", "exec"), held)  # noqa: S102  # the repository's own notebook
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), held)  # noqa: S307
    if printed.getvalue():
        yield {"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())}
    if value is not None:
        shown = {"text/plain": _lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            shown["text/html"] = _lines(value._repr_html_())
        yield {"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": shown}
    yield from _figures()


def _figures() -> Iterator[dict[str, Any]]:
    import matplotlib.pyplot as plt

    for each in plt.get_fignums():
        drawn = io.BytesIO()
        plt.figure(each).savefig(drawn, format="png", dpi=80, metadata={"Software": None})
        plt.close(each)
        shown = {"image/png": b64encode(drawn.getvalue()).decode(), "text/plain": ["<Figure>"]}
        yield {"output_type": "display_data", "metadata": {}, "data": shown}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    """Run the notebook, and store it with its outputs."""
    book = read()
    run(book)
    NOTEBOOK.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
