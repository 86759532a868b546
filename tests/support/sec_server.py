"""A stand-in for the SEC's EDGAR, with its list of companies and their filings, which refuses as it does."""

from collections.abc import Mapping
from http.client import HTTPMessage
from typing import Any

from tests.support.stand_in import Answer, StandIn, as_json


class SecServer(StandIn):
    """Serves `/files/company_tickers.json` and `/submissions/CIK….json`.

    Attributes:
        companies: the filings of each company by symbol, as tuples of filing date, acceptance, form and items; those
            below "old" are on a page of their own.
        failures: answers to give first, one a request; None is a lost connection.
        requests: the path and the user agent of each request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.companies: dict[str, list[tuple[str, str, str, str]]] = {}
        self.old: dict[str, list[tuple[str, str, str, str]]] = {}
        self.failures: list[Answer | None] = []
        self.requests: list[tuple[str, str]] = []

    def answer(self, verb: str, url: str, headers: HTTPMessage, content: bytes) -> Answer | None:
        self.requests.append((url, headers["User-Agent"]))
        if self.failures:
            return self.failures.pop(0)
        numbers = {symbol: number for number, symbol in enumerate(self.companies, start=320193)}
        if url == "/files/company_tickers.json":
            listed = [{"cik_str": number, "ticker": symbol, "title": symbol} for symbol, number in numbers.items()]
            return as_json({str(place): company for place, company in enumerate(listed)})
        for symbol, number in numbers.items():
            if url == f"/submissions/CIK{number:010d}.json":
                return as_json({"filings": {"recent": page(self.companies[symbol]), "files": self._files(symbol)}})
            if url == f"/submissions/CIK{number:010d}-submissions-001.json":
                return as_json(page(self.old[symbol]))
        return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def _files(self, symbol: str) -> list[Mapping[str, Any]]:
        if symbol not in self.old:
            return []
        days = sorted(day for day, *_ in self.old[symbol])
        number = 320193 + list(self.companies).index(symbol)
        name = f"CIK{number:010d}-submissions-001.json"
        return [{"name": name, "filingCount": len(days), "filingFrom": days[0], "filingTo": days[-1]}]


def page(filings: list[tuple[str, str, str, str]]) -> dict[str, list[str]]:
    days, accepted, forms, items = ([filing[at] for filing in filings] for at in range(4))
    return {
        "accessionNumber": ["0000950170-23-035122"] * len(filings),
        "filingDate": days,
        "reportDate": days,
        "acceptanceDateTime": accepted,
        "form": forms,
        "items": items,
    }
