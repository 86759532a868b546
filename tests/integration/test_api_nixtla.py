"""The calls of Nixtla's client, as it makes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from tests.support.api_client import Client, client

from tickercast.app import App
from tickercast.config import Settings


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder: Path = tmp_path_factory.mktemp("api")
    app = App(Settings(bucket=f"file://{folder}/b", warehouse=f"duckdb://{folder}/w.duckdb", source="sample"))
    with client(app) as found:
        yield found


def closes(count: int = 200, seed: int = 7) -> list[float]:
    moves = np.random.default_rng(seed).normal(0, 0.01, count)
    return [float(one) for one in 100 * np.exp(np.cumsum(moves))]


def asked(**changes: Any) -> dict[str, Any]:
    body = {
        "series": {"y": [*closes(), *closes(150, 8)], "sizes": [200, 150], "X": None, "X_future": None},
        "model": "timegpt-1",
        "h": 10,
        "freq": "B",
        "clean_ex_first": True,
        "level": [80, 95],
        "finetune_steps": 0,
        "finetuned_model_id": None,
        "feature_contributions": False,
        "multivariate": False,
    }
    return body | changes


def test_a_forecast_has_medians_and_intervals_of_each_series(served: Client) -> None:
    made = served.post("/v2/forecast", content=orjson.dumps(asked())).json()
    assert len(made["mean"]) == 20
    assert set(made["intervals"]) == {"lo-80", "hi-80", "lo-95", "hi-95"}
    first, second = closes()[-1], closes(150, 8)[-1]
    assert made["mean"][:10] == pytest.approx([first] * 10)
    assert made["mean"][10:] == pytest.approx([second] * 10)
    widths = np.log(np.array(made["intervals"]["hi-95"]) / made["intervals"]["lo-95"]).reshape(2, 10)
    assert widths[:, 1:] == pytest.approx(widths[:, :1] * np.sqrt(np.arange(2, 11)), rel=1e-6)
    for name, other in (("lo-95", "lo-80"), ("lo-80", "hi-80"), ("hi-80", "hi-95")):
        assert (np.array(made["intervals"][name]) < made["intervals"][other]).all()


def test_quantiles_are_asked_for_as_levels_of_which_that_of_the_median_is_0(served: Client) -> None:
    quantiles = [percent / 100 for percent in range(1, 100)]
    levels = [abs(int(100 - 200 * each)) for each in quantiles]  # as the client makes them
    made = served.post("/v2/forecast", content=orjson.dumps(asked(level=levels))).json()
    assert set(made["intervals"]) == {f"{side}-{level}" for side in ("lo", "hi") for level in levels}
    assert made["intervals"]["lo-0"] == made["intervals"]["hi-0"] == made["mean"]
    rising = [made["intervals"][f"{'lo' if each < 0.5 else 'hi'}-{abs(int(100 - 200 * each))}"] for each in quantiles]
    assert (np.diff(np.array(rising), axis=0) >= 0).all()


def test_levels_are_named_in_full(served: Client) -> None:
    made = served.post("/v2/forecast", content=orjson.dumps(asked(level=[80.0, 80, 99.5, 99.9999999]))).json()
    assert list(made["intervals"]) == ["lo-80", "hi-80", "lo-99.5", "hi-99.5", "lo-99.9999999", "hi-99.9999999"]


def test_a_body_in_zstd_has_the_same_answer(served: Client) -> None:
    body = orjson.dumps(asked())
    sink = pa.BufferOutputStream()
    with pa.output_stream(sink, compression="zstd") as stream:
        stream.write(body)
    packed = sink.getvalue().to_pybytes()
    answered = served.post("/v2/forecast", content=packed, headers={"Content-Encoding": "zstd"})
    assert answered.json() == served.post("/v2/forecast", content=body).json()


def test_the_client_is_told_how_far_the_model_reaches(served: Client) -> None:
    assert served.get("/model_params?model=timegpt-1&freq=B").json() == {"detail": {"input_size": 750, "horizon": 10}}
    assert served.get("/validate_api_key").status_code == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"h": 11}, "body.h is 11: at most 10 was needed"),
        ({"h": "5"}, "body.h is '5': a whole number was needed"),
        ({"freq": 1}, "body.freq is 1: a text was needed"),
        ({"level": "x"}, "body.level is 'x': a list was needed"),
        ({"series": {"y": [], "sizes": []}}, "body.series.sizes has a length of 0: at least 1 was needed"),
        ({"series": {"y": ["x"], "sizes": [1]}}, "body.series.y.0 is 'x': a number was needed"),
        ({"finetune_steps": 5}, "body.finetune_steps is 5: at most 0 was needed"),
        ({"level": [100]}, "body.level.0 is 100: less than 100 was needed"),
        ({"level": [-1]}, "body.level.0 is -1: at least 0 was needed"),
        ({"level": [80] * 100}, "body.level has a length of 100: at most 99 was needed"),
        ({"series": {"y": [1.0] * 5, "sizes": [5]}}, "Series 1 has 5 closes, and ewma-t needs"),
        ({"series": {"y": [1e-300, 1e11] * 50, "sizes": [100]}}, "Send closes that lie nearer to each other."),
        ({"series": {"y": [1.0] * 5, "sizes": [4]}}, "sizes say 4 closes, and y holds 5"),
        ({"series": {"y": [-1.0], "sizes": [1]}}, "body.series.y.0 is -1.0: more than 0 was needed"),
        ({"series": {"y": closes(), "sizes": [200], "X": [[1.0]]}}, "closes alone are forecast from"),
    ],
)
def test_what_cannot_be_forecast_is_said(served: Client, changes: dict[str, Any], said: str) -> None:
    answered = served.post("/v2/forecast", content=orjson.dumps(asked(**changes)))
    assert (answered.status_code, said in answered.json()["detail"]) == (422, True), answered.text


def test_a_body_that_says_zstd_and_is_none_is_refused(served: Client) -> None:
    answered = served.post("/v2/forecast", content=b"{}", headers={"Content-Encoding": "zstd"})
    assert answered.status_code == 400
    assert served.post("/v2/forecast", content=b"{").status_code == 400


def test_a_word_that_is_given_twice_is_refused(served: Client) -> None:
    body = orjson.dumps(asked())
    for twice in (body[:-1] + b',"h":5}', body.replace(b'"sizes":', b'"sizes":[350],"sizes":')):
        for content, headers in (
            (twice, {}),
            (pa.Codec("zstd").compress(twice, asbytes=True), {"Content-Encoding": "zstd"}),
        ):
            answered = served.post("/v2/forecast", content=content, headers=headers)
            assert (answered.status_code, "is given 2 times" in answered.json()["detail"]) == (422, True), answered.text


def test_a_bomb_is_refused(served: Client) -> None:
    sink = pa.BufferOutputStream()
    with pa.output_stream(sink, compression="zstd") as stream:
        stream.write(b" " * 70_000_000)
    packed = sink.getvalue().to_pybytes()
    assert len(packed) < 100_000
    assert served.post("/v2/forecast", content=packed, headers={"Content-Encoding": "zstd"}).status_code == 413
