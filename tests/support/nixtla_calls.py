"""Forecast with Nixtla's own client, in an environment of its own: it needs an older pandas than we do.

python tests/support/nixtla_calls.py URL TOKEN
"""

import json
import sys

import numpy as np
import pandas as pd
from nixtla import NixtlaClient


def main(url: str, token: str) -> None:
    client = NixtlaClient(api_key=token, base_url=url, max_retries=1)
    days = pd.bdate_range("2020-01-01", periods=400)
    random = np.random.default_rng(7)
    few = pd.concat([series(name, days, random) for name in ("AAA", "BBB")])
    many = pd.concat([series(f"S{number}", days, random) for number in range(300)])
    made = client.forecast(few, h=10, freq="B", level=[80, 95], validate_api_key=True)
    quantiles = client.forecast(few, h=10, freq="B", quantiles=[0.1, 0.5, 0.9])
    large = client.forecast(many, h=5, freq="B")  # above a MB, so in zstd
    sys.stdout.write(
        json.dumps(
            {
                "valid": client.validate_api_key(log=False),
                "columns": list(made.columns),
                "rows": made.assign(ds=made["ds"].dt.strftime("%Y-%m-%d")).to_dict("list"),
                "quantiles": quantiles.filter(like="-q-").to_dict("list"),
                "last": few.groupby("unique_id")["y"].last().to_dict(),
                "large": [len(large), bool(large["TimeGPT"].gt(0).all())],
            }
        )
    )


def series(name: str, days: pd.DatetimeIndex, random: np.random.Generator) -> pd.DataFrame:
    closes = 100 * np.exp(np.cumsum(random.normal(0, 0.015, len(days))))
    return pd.DataFrame({"unique_id": name, "ds": days, "y": closes})


if __name__ == "__main__":
    main(*sys.argv[1:])
