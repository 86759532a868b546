"""A constant answer from FastAPI, served as the API is: what the API is compared with.

python -m benchmarks.bare_api PORT FILE
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response


def main(port: int, answer: bytes) -> None:
    """Serve the answer at the addresses of forecasts."""
    app = FastAPI(docs_url=None, redoc_url=None)

    @app.get("/v1/forecasts/{symbol}")
    async def forecast(symbol: str, model: str = "", frequency: str = "1d") -> Response:
        return Response(answer, media_type="application/json")

    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False, server_header=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes())
