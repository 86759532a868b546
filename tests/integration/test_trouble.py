"""Every row of docs/trouble.md: the trouble is made, and the sentence compared."""

import os
import re
import signal
import struct
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from curl_cffi import requests as curl
from tests.support.bigquery_server import BigQueryServer
from tests.support.mlflow_server import free_port
from tests.support.sec_server import SecServer
from tests.support.stand_in import Answer
from tests.support.warehouse_rows import append, forecast, price, span
from tests.unit.test_market_data_yahoo import NO_HOST, UNAUTHORIZED, Response, chart
from tests.unit.test_mlflow_errors import of_revision

from tickercast import config, engines
from tickercast.backends.market_data.yahoo import Yahoo
from tickercast.backends.registry.mlflow import MlflowRegistry
from tickercast.backends.results_days.sec import Sec
from tickercast.backends.warehouse.bigquery import BigQueryWarehouse
from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.domain import calendar
from tickercast.domain.quality import findings
from tickercast.errors import TickercastError
from tickercast.ports import QueryLimits

FIRST_RELEASE = Path(__file__).parents[1] / "support" / "first_edition"
PAGE = (Path(__file__).parents[2] / "docs" / "trouble.md").read_text(encoding="utf-8")
ROWS = {
    trouble: seen
    for trouble, seen, _ in re.findall(r"^\| (.+?) \| (.+?) \| (.*?)\|$", PAGE, re.MULTILINE)
    if seen != "what is seen"
}


def sentence(work: Callable[[], Any]) -> str:
    with pytest.raises(TickercastError) as raised:
        work()
    return str(raised.value)


def warehouse(file: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(file, config.resource("sql"), patience_s=0.1)


# ---------------------------------------------------------------- Yahoo


def yahoo(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, int], Response], *symbols: str) -> Any:
    import yfinance

    charts: list[str] = []

    def request(_session: object, method: str, url: str, **options: Any) -> Response:
        if "/search" in url:
            return Response(200, '{"quotes": []}')
        if "/chart/" not in url:
            return Response(200, "crumb") if "crumb" in url else Response(404, "{}")
        charts.append(url)
        return answer(url.rpartition("/")[2], len(charts))

    yfinance.data.SingletonMeta._instances.clear()
    monkeypatch.setattr(curl.Session, "request", request)
    source = Yahoo(at_once=1, sleep=lambda _: None)
    return source.fetch(symbols, date(2023, 7, 1), date(2023, 7, 21), advance=lambda _: None)


def no_host(*_: Any) -> Response:
    raise NO_HOST


def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return sentence(lambda: yahoo(monkeypatch, no_host, "MSFT", "US5949181045"))


def too_many_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return sentence(lambda: yahoo(monkeypatch, lambda *_: Response(429, "Too Many Requests"), "MSFT", "AAPL"))


def refused_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    answer = lambda _, count: chart(11.0, 12.0) if count == 1 else Response(429, "")  # noqa: E731
    return str(yahoo(monkeypatch, answer, "MSFT", "AAPL", "IBM").failures["IBM"])


def a_refused_crumb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    answer = lambda symbol, _: Response(401, UNAUTHORIZED) if symbol == "AAPL" else chart(11.0, 12.0)  # noqa: E731
    return str(yahoo(monkeypatch, answer, "MSFT", "AAPL").failures["AAPL"])


def an_isin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return str(yahoo(monkeypatch, lambda *_: chart(11.0, 12.0), "MSFT", "US5949181045").failures["US5949181045"])


# ---------------------------------------------------------------- the SEC


def sec(*symbols: str, agent: str = "Jane Doe jane@example.com", answers: Sequence[Answer | None] = ()) -> Any:
    server = SecServer()
    try:
        server.companies = {"MSFT": [("2023-07-25", "2023-07-25T20:05:00.000Z", "8-K", "2.02,9.01")]}
        server.failures = list(answers)
        source = Sec(agent, url=server.url, data_url=server.url, sleep=lambda _: None)
        return source.fetch(symbols, date(2023, 1, 1), advance=lambda _: None)
    finally:
        server.close()


def no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return sentence(lambda: sec("MSFT", agent=""))


def refused_by_the_sec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return sentence(lambda: sec("MSFT", answers=[Answer(403, b"Undeclared Automated Tool")]))


def no_answer_of_the_sec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return sentence(lambda: sec("MSFT", answers=[Answer(503)] * 10))


def no_american_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return str(sec("MSFT", "VOD.L").failures["VOD.L"])


# ---------------------------------------------------------------- the bucket


@contextmanager
def s3(
    monkeypatch: pytest.MonkeyPatch, *failures: str, versioning: str = "Enabled", key: str = "AKIATICKERCASTTEST00"
) -> Iterator[Callable[[], object]]:
    """Asks a bucket of the stand-in, which fails so."""
    pytest.importorskip("botocore", reason="the extra aws is not installed")
    from tests.support.s3_server import LIST, S3Server

    from tickercast.backends.object_store.s3 import S3ObjectStore

    given = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key, "AWS_EC2_METADATA_DISABLED": "true"}
    for setting, value in given.items():
        monkeypatch.setenv(setting, value)
    for setting in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(setting, "none")
    server = S3Server()
    try:
        name = server.make_bucket(versioning=versioning)
        server.fail(LIST, *failures)
        yield lambda: S3ObjectStore(name, endpoint=server.url, patience_s=0.1).names("ohlc/")
    finally:
        server.close()


def refused_by_s3(monkeypatch: pytest.MonkeyPatch, *failures: str) -> str:
    with s3(monkeypatch, *failures) as ask:
        return sentence(ask)


def no_answer_of_the_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    from tickercast.backends.object_store.gcs import GcsObjectStore

    nobody = GcsObjectStore("bars", emulator=f"http://127.0.0.1:{free_port()}", patience_s=0.1)
    return sentence(lambda: nobody.names("ohlc/"))


def no_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return refused_by_s3(monkeypatch, "404 NoSuchBucket")


def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with s3(monkeypatch, key="") as ask:
        return sentence(ask)


def no_rights_in_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return refused_by_s3(monkeypatch, "403 AccessDenied")


def another_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return refused_by_s3(monkeypatch, *["301 PermanentRedirect"] * 3)


def too_many_for_the_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return refused_by_s3(monkeypatch, *["503 SlowDown"] * 100)


def no_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with s3(monkeypatch, versioning="") as ask:
        return sentence(ask)


# ---------------------------------------------------------------- DuckDB


def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "w.duckdb"
    warehouse(file).provision()
    script = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said = sentence(lambda: warehouse(file).read("prices"))
        holder.communicate("")
    assert f"(process {holder.pid})" in said
    return said


def of_version(file: Path, version: int) -> Path:
    """A real DuckDB file whose header names another storage version, with the checksum that belongs to it."""
    with duckdb.connect(file) as made:
        made.execute("CREATE TABLE numbers AS SELECT * FROM range(1000)")
    data = bytearray(file.read_bytes())
    data[12:20] = struct.pack("<Q", version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", bytes(data[8:4096])):
        checksum ^= (word * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    data[:8] = struct.pack("<Q", checksum)
    file.write_bytes(data)
    return file


def earlier_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    DuckDBWarehouse(tmp_path / "w.duckdb", FIRST_RELEASE).provision()
    return sentence(warehouse(tmp_path / "w.duckdb").compact)


def newer_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return sentence(warehouse(of_version(tmp_path / "w.duckdb", 5000)).provision)


def old_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    said = sentence(warehouse(of_version(tmp_path / "w.duckdb", 51)).provision)
    assert "DuckDB version v0.8.0" in said
    return said


def a_damaged_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    made = warehouse(tmp_path / "w.duckdb")
    made.provision()
    append(made, "prices", [price(f"S{number}") for number in range(50)], "k")
    made.close()
    log = tmp_path / "w.duckdb.wal"
    whole = log.read_bytes()
    log.write_bytes(b"garbage!" + whole[8:])
    assert "it does not begin as a log" in sentence(lambda: warehouse(tmp_path / "w.duckdb").read("prices"))
    assert "it does not begin as a log" in sentence(warehouse(tmp_path / "w.duckdb").provision)
    data = bytearray(whole)
    data[len(data) // 2] ^= 255
    log.write_bytes(data)
    said = sentence(lambda: warehouse(tmp_path / "w.duckdb").read("prices"))
    log.rename(tmp_path / "kept.wal")
    assert warehouse(tmp_path / "w.duckdb").read("prices").empty  # the way out leads out
    for nothing in (b"", bytes(5000), whole[:3]):  # what a process leaves that is ended before the first entry
        log.write_bytes(nothing)
        assert warehouse(tmp_path / "w.duckdb").read("prices").empty
    return said


def a_log_of_another_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file, log = tmp_path / "w.duckdb", tmp_path / "w.duckdb.wal"
    made = warehouse(file)
    made.provision()
    made.close()
    before = file.read_bytes()
    with duckdb.connect(file) as connection:  # one that has written to the file since
        connection.execute("CREATE TABLE mine (a INT); CHECKPOINT; PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("INSERT INTO mine VALUES (1)")
    file.write_bytes(before)
    said = sentence(lambda: warehouse(file).read("prices"))
    log.rename(tmp_path / "first.wal")
    made.compact()  # the file is another one
    append(made, "prices", [price()], "k")
    made.close()
    file.write_bytes(before)
    assert sentence(lambda: warehouse(file).read("prices")) == said
    log.rename(tmp_path / "kept.wal")
    assert warehouse(file).read("prices").empty  # the way out leads out
    return said


def a_log_without_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file, log, away = tmp_path / "w.duckdb", tmp_path / "w.duckdb.wal", tmp_path / "away.duckdb"
    made = warehouse(file)
    made.provision()
    append(made, "prices", [price()], "k")
    made.close()
    file.rename(away)
    before = log.read_bytes()
    limits = QueryLimits(seconds=30, memory_mb=256)
    uses: tuple[Callable[[], object], ...] = (
        lambda: warehouse(file).read("prices"),
        lambda: warehouse(file).query("SELECT 1 AS n", limits=limits),
        lambda: warehouse(file).pending(),
        lambda: append(warehouse(file), "prices", [price()], "k2"),
        lambda: warehouse(file).provision(),
    )
    [said] = {sentence(use) for use in uses}
    assert (log.read_bytes(), file.exists()) == (before, False)
    away.rename(file)
    assert len(warehouse(file).read("prices")) == 1  # the first way out leads out
    file.rename(away)
    log.rename(tmp_path / "kept.wal")
    (tmp_path / "w.duckdb.kept").mkdir()  # an interrupted checkpoint has kept the log
    assert sentence(warehouse(file).provision) == said.replace(str(log), str(tmp_path / "w.duckdb.kept"))
    file.touch()
    assert sentence(warehouse(file).provision) == said.replace(str(log), str(tmp_path / "w.duckdb.kept"))
    (tmp_path / "w.duckdb.kept").rmdir()
    assert warehouse(file).provision()  # the second, too
    return said


def a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "w.duckdb"
    warehouse(file).provision()
    data = bytearray(file.read_bytes())
    data[12288 : 12288 + 4096] = bytes(4096)
    file.write_bytes(data)
    return sentence(warehouse(file).provision)


def another_kind_of_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "w.duckdb").write_text("a text " * 1000)
    return sentence(warehouse(tmp_path / "w.duckdb").provision)


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only an administrator can mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with full_disk(tmp_path / "disk") as disk:
        made = warehouse(disk / "w.duckdb")
        made.provision()
        append(made, "prices", [price()], "first")
        many = [price(uuid.uuid4().hex) for _ in range(20_000)]
        said = sentence(lambda: append(made, "prices", many, "many"))
        assert len(made.read("prices")) == 1
        store = engines.object_store(config.Settings(bucket=f"file://{disk}/bucket"), announce=False)
        assert "the disk is full" in sentence(lambda: store.write("ohlc/x", bytes(4_000_000)))
        return said


@pytest.mark.parametrize("pages", [0, 1, 2, 10, 200], ids=lambda pages: f"{pages} pages free")
def test_a_disk_that_was_full_at_the_first_command_leaves_nothing_that_stops_the_next(
    tmp_path: Path, pages: int
) -> None:
    with full_disk(tmp_path / "disk") as disk:
        (disk / "w.duckdb").touch()  # as an earlier release left it
        filler = disk / "filler"
        filler.write_bytes(bytes(4096 * (os.statvfs(disk).f_bavail - pages)))
        first = warehouse(disk / "w.duckdb")
        assert "the disk is full" in sentence(first.provision)
        assert not [*disk.glob("*.kept*")]  # which no earlier release may understand
        if pages < 200:  # enough for the log
            assert "has not been set up. Run any" in sentence(lambda: first.query("SELECT COUNT(*) AS n FROM prices"))
        filler.unlink()
        first.provision()
        assert first.pending() == {}


def missing_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "w.duckdb"
    warehouse(file).provision()
    file.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            tmp_path.chmod(0o755)
            os.seteuid(65534)
        return sentence(lambda: warehouse(file).read("prices"))
    finally:
        os.seteuid(user)


# ---------------------------------------------------------------- BigQuery


@contextmanager
def bigquery(**options: Any) -> Iterator[tuple[BigQueryWarehouse, BigQueryServer]]:
    server = BigQueryServer()
    try:
        name, sql = f"d{uuid.uuid4().hex}", config.resource("sql")
        yield BigQueryWarehouse("test-project", name, sql, emulator=server.url, **options), server
    finally:
        server.close()


def no_answer_of_bigquery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    nobody = f"http://127.0.0.1:{free_port()}"
    made = BigQueryWarehouse("p", "d", config.resource("sql"), emulator=nobody, patience_s=0.1)
    return sentence(lambda: made.revision("prices"))


def too_dear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with bigquery(max_query_gb=2.5) as (made, server):
        server.engine.query_bytes = 3_000_000_000
        return sentence(lambda: made.query("SELECT 1 AS one"))


def slow_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with bigquery(query_patience_s=0.2) as (made, server):
        server.fail("job", "60s")
        return sentence(lambda: made.query("SELECT 1 AS one"))


# ---------------------------------------------------------------- MLflow and Prefect


def no_mlflow_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return sentence(lambda: MlflowRegistry(f"http://127.0.0.1:{free_port()}").versions("m"))


def no_mlflow_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "m.db").write_text("a text " * 1000)
    return sentence(lambda: MlflowRegistry(f"sqlite:///{tmp_path / 'm.db'}").versions("m"))


def schema(tmp_path: Path, revision: str) -> str:
    whole = tmp_path / "whole.db"
    whole.touch()  # MLflow makes its tables in it
    MlflowRegistry(f"sqlite:///{whole}").versions("m")
    of_revision(whole, tmp_path / "m.db", revision)
    return sentence(lambda: MlflowRegistry(f"sqlite:///{tmp_path / 'm.db'}").versions("m"))


def older_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return schema(tmp_path, "1bd49d398cd2")


def newer_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return schema(tmp_path, "ffffffffffff")


def no_prefect_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("prefect")
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        return sentence(lambda: engines.flow_server().__enter__())


# ---------------------------------------------------------------- everything else


def unknown_holidays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    from tests.conftest import make_bars

    last = calendar._bounds("XSHG")[1]
    cutoff = calendar.sessions_between("600519.SS", date(last.year, 12, 20), last)[-2]
    bars = make_bars.__wrapped__()("600519.SS", last=cutoff)  # type: ignore[attr-defined]
    [found] = [one for one in findings(bars, cutoff, now=datetime.now(UTC)) if one.check == "calendar"]
    return found.text


EVENT = {
    "ce-id": "1",
    "ce-type": "google.cloud.storage.object.v1.finalized",
    "ce-source": "s",
    "ce-specversion": "1.0",
}


def truncated_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return sentence(lambda: engines.read_event(EVENT, b'{"bucket": "b", "na'))


def event_without_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    attributes, data = engines.read_event(EVENT, b'{"bucket": "b", "name": "ohlc/2023-07-22/MSFT.csv", "size": "4"}')
    return sentence(lambda: engines.object_finalized(attributes, data))


def ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "w.duckdb"
    warehouse(file).provision()
    command = [sys.executable, "-m", "tickercast", "query", "SELECT 1 AS one"]
    given = os.environ | {"TICKERCAST_WAREHOUSE": f"duckdb://{file}"}
    with duckdb.connect(file):  # so that the command waits, and says so
        meant = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
        done = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=given, preexec_fn=meant)
        assert done.stderr is not None
        assert f"(process {os.getpid()}); waiting for it, up to 60 s" in done.stderr.readline()
        done.send_signal(signal.SIGINT)
        _, said = done.communicate(timeout=60)
    assert done.returncode == 130
    return said.strip()


MAKERS: dict[str, Callable[[Path, pytest.MonkeyPatch], str]] = {
    "no network": no_network,
    "too many requests (429)": too_many_requests,
    "refused in the middle": refused_in_the_middle,
    "a refused crumb (401, 403)": a_refused_crumb,
    "an ISIN that is not found": an_isin,
    "the SEC does not know who asks": no_agent,
    "the SEC refuses (403, 429)": refused_by_the_sec,
    "the SEC does not answer": no_answer_of_the_sec,
    "a company that the SEC does not list": no_american_company,
    "no answer of the bucket": no_answer_of_the_bucket,
    "no bucket": no_bucket,
    "no credentials of AWS": no_credentials,
    "missing rights in S3": no_rights_in_s3,
    "a region that is not the bucket's": another_region,
    "too many requests to the bucket": too_many_for_the_bucket,
    "no versions": no_versions,
    "held by another program": held,
    "tables of another release": earlier_release,
    "written by a newer DuckDB": newer_duckdb,
    "written by an old DuckDB": old_duckdb,
    "a damaged log": a_damaged_log,
    "a log of another moment": a_log_of_another_moment,
    "a log without its file": a_log_without_its_file,
    "a damaged file": a_damaged_file,
    "another kind of file": another_kind_of_file,
    "a full disk": a_full_disk,
    "missing rights": missing_rights,
    "no answer of BigQuery": no_answer_of_bigquery,
    "a query that is too dear": too_dear,
    "an event's query is slow": slow_query,
    "no server of MLflow": no_mlflow_server,
    "no database of MLflow": no_mlflow_database,
    "the schema of an older MLflow": older_schema,
    "the schema of a newer MLflow": newer_schema,
    "no server of Prefect": no_prefect_server,
    "holidays not known yet": unknown_holidays,
    "a truncated event": truncated_event,
    "an event that names no object": event_without_an_object,
    "Ctrl-C": ctrl_c,
}


@pytest.mark.parametrize("trouble", [newer_duckdb, old_duckdb])
def test_the_way_out_of_a_file_of_another_duckdb_moves_every_row_key_and_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Path, pytest.MonkeyPatch], str]
) -> None:
    monkeypatch.chdir(tmp_path)
    held = warehouse(tmp_path / "held.duckdb")
    held.provision()
    append(held, "spans", [span()], "spans/1")
    append(held, "prices", [price()], "prices/1")
    append(held, "forecasts", [forecast(quantiles=[0.1, -0.2], model_name='a "b", c')], "forecasts/1")
    said = trouble(tmp_path, monkeypatch).replace(str(tmp_path / "w.duckdb"), str(tmp_path / "held.duckdb"))
    with duckdb.connect("held.duckdb" if "EXPORT" in said else ":memory:") as wrote:
        for statement in re.findall(r"(?:ATTACH|COPY).*?;|EXPORT DATABASE '\w+'", said):
            wrote.execute(statement)
    if "IMPORT" in said:
        schema = tmp_path / "folder" / "schema.sql"
        lines = [line for line in schema.read_text().splitlines() if not line.startswith("CREATE VIEW")]
        schema.write_text("\n".join(lines))
        with duckdb.connect("copy.duckdb") as installed:
            installed.execute("IMPORT DATABASE 'folder'")
    copy = warehouse(tmp_path / "copy.duckdb")
    copy.provision()
    for name in ("spans", "prices", "forecasts", "latest_prices", "champion_forecasts"):
        rows = held.read(name)
        assert len(rows) == 1
        pd.testing.assert_frame_equal(copy.read(name), rows)
    assert not append(copy, "prices", [price()], "prices/1")
    assert copy.pending() == {}


def test_every_trouble_of_the_page_is_made_here() -> None:
    assert list(ROWS) == list(MAKERS)


@pytest.mark.parametrize("trouble", MAKERS)
def test_what_is_seen_is_what_the_page_says(workspace: Path, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    said = MAKERS[trouble](workspace, monkeypatch)
    pattern = ".+".join(re.escape(part) for part in ROWS[trouble].split("…"))
    assert re.fullmatch(pattern, said), said
