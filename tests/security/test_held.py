"""Attacks that never got in: pickles, external data, names as paths, scripts on pages, bombs."""

import ast
import dataclasses
import gzip
import hashlib
import io
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tickercast.domain import objects
from tickercast.domain.files.price_containers import unpacked
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import BundleError, InvalidBars, UsageError

PROJECT = Path(__file__).parents[2]
SCRIPT = "<script>alert(1)</script>"


def test_nothing_is_unpickled() -> None:
    """Neither by name nor by a call that does it on the way."""
    odd = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal", "read_pickle"}
    found = []
    for folder in ("src", "flows", "cloud_function", "aws_function"):
        for path in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = {getattr(node, "attr", ""), getattr(node, "id", ""), getattr(node, "module", "") or ""}
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                words = {word.arg: ast.unparse(word.value) for word in getattr(node, "keywords", [])}
                if names & odd or words.get("allow_pickle", "False") != "False":
                    found.append(f"{path.relative_to(PROJECT)}: {names & odd}")
    assert found == []


def test_a_network_with_data_outside_of_it_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    from tickercast import config
    from tickercast.app import App
    from tickercast.models import catalogue

    (tmp_path / "secret").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    weights = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=str(tmp_path / "secret"))
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value], [result], [weights])
    network = helper.make_model(graph).SerializeToString()
    del onnx
    app = App(config.Settings(bucket=f"file://{tmp_path}/bucket", warehouse=f"duckdb://{tmp_path}/w.duckdb"))
    shipped = app.models.shipped
    card = shipped.card.model_copy(update={"sha256": hashlib.sha256(network).hexdigest()})
    with pytest.raises(BundleError, match="ONNX"):
        catalogue.load_bundle(dataclasses.replace(shipped, card=card, onnx=network))
    with pytest.raises(BundleError, match="sha256"):
        dataclasses.replace(shipped, onnx=network)


NO_SYMBOLS = ["../../etc/passwd", "A/B", "A\\B", "A\0", SCRIPT, "A" * 21, "", "\u041cSFT", "A..B", "-A"]


@pytest.mark.parametrize("text", NO_SYMBOLS)
def test_a_symbol_is_no_path_and_no_markup(text: str) -> None:
    with pytest.raises(UsageError):
        parse_symbol(text)


@pytest.mark.parametrize(
    "name", ["ohlc/../x.csv", "ohlc/2023-07-22/../../x.csv", "ohlc/2023-07-22/a/b.csv", "/ohlc/x.csv"]
)
def test_a_name_of_prices_is_no_path(name: str) -> None:
    with pytest.raises(UsageError):
        objects.parse(name)


def test_a_cell_of_a_page_is_no_script() -> None:
    pytest.importorskip("streamlit")
    from tickercast.dashboard import state

    shown: list[str] = []
    state.st.html, before = shown.append, state.st.html
    try:
        state.table(pd.DataFrame({SCRIPT: [SCRIPT]}), f'"{SCRIPT}')
    finally:
        state.st.html = before
    assert "<script" not in shown[0]
    assert shown[0].count("&lt;script") == 3


def test_a_report_escapes_what_it_is_told() -> None:
    text = (PROJECT / "src/tickercast/show/report.py").read_text()
    assert "autoescape=True" in text
    pages = "".join(path.read_text() for path in (PROJECT / "src/tickercast/show").rglob("*.html"))
    drawn = {"section.wide", "section.narrow", "wide", "narrow", "chart"}  # by matplotlib
    drawn |= {"section.volatility", "row.spark"}  # of numbers alone
    assert set(re.findall(r"{{ (\S+) \| safe }}", pages)) <= drawn


def test_a_bomb_is_unpacked_up_to_the_limit_only() -> None:
    bomb = gzip.compress(b"0" * 5_000_000, mtime=0)
    with pytest.raises(InvalidBars, match="uncompressed"):
        unpacked(bomb, 1_000_000)
    with pytest.raises(InvalidBars, match="uncompressed"):
        unpacked(b"".join([gzip.compress(b"0" * 600_000, mtime=0)] * 2), 1_000_000)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prices.csv", b"0" * 5_000_000)
    with pytest.raises(InvalidBars, match="uncompressed"):
        unpacked(file.getvalue(), 1_000_000)


@pytest.mark.parametrize("inner", [gzip.compress(b"Date,Open\n", mtime=0), b"PK\x03\x04"])
def test_an_archive_in_an_archive_is_not_unpacked(inner: bytes) -> None:
    with pytest.raises(InvalidBars):
        unpacked(gzip.compress(inner, mtime=0))
