"""Settings: the only place that reads the environment, and where the project's own files lie.

A URL chooses the engine, nothing else does. The prefix is `TICKERCAST_`; MLflow and Google keep their own names.
"""

import difflib
import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tickercast.errors import UsageError

PREFIX = "TICKERCAST_"

DEFAULT_HOME = ".tickercast"

SECRETS = Path("/run/secrets")
"""The folder in which containers keep secrets as files, each named as its setting in small letters."""

_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?")

_ACTIVE: ContextVar["Settings | None"] = ContextVar("tickercast_settings", default=None)


class InHome(str):
    """A URL with the home as `{}`; called with the settings before it, the default of a setting."""

    def __call__(self, before: dict[str, Any]) -> str:
        """The URL, for the settings that are read before it."""
        return self.format(Path(before["home"]).expanduser().absolute())


def is_address(url: str) -> bool:
    """Whether a text is the URL of a server: `http(s)://HOST`, perhaps with a port, a path and more.

    >>> [is_address(url) for url in ("https://a.example/v1", "http://[::1]:80", "http://me:pw@localhost")]
    [True, True, True]
    >>> [is_address(url) for url in ("a.example", "ftp://a.example", "https://", "https://a b", "http://a:x")]
    [False, False, False, False, False]
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        named = bool(IPv6Address(host) if ":" in host else _HOST.fullmatch(host))
    except ValueError:
        return False
    return named and parts.scheme in ("http", "https") and url.isprintable() and " " not in url


def _address(url: str) -> str:
    if url and not is_address(url):
        raise PydanticCustomError("address", "https://HOST was needed, or http://HOST, perhaps with :PORT and a path")
    return url


def _base(url: str) -> str:
    if _address(url) and {"?", "#"} & set(url):
        raise PydanticCustomError("address", "https://HOST was needed, without ? or #, since paths are added to it")
    return url


def _emulator(url: str) -> str:
    """The URL of an emulator; other languages' clients want it without a scheme, so people set it without one."""
    return _base(url if "://" in url or not url else f"http://{url}")


_Address = Annotated[str, AfterValidator(_address)]
_Base = Annotated[str, AfterValidator(_base)]
_Emulator = Annotated[str, AfterValidator(_emulator)]


class Settings(BaseSettings):
    """The settings, with the defaults of a laptop.

    Attributes:
        home: the folder of everything that is kept on this machine; by default `.tickercast` in the current folder.
            Name one to find the same bucket, warehouse and registry from any folder.
        bucket: the data bucket: `file://FOLDER`, `gs://BUCKET` or
            `s3://BUCKET[?endpoint=https://HOST&region=REGION&versioning=none]`.
        model_bucket: the bucket of the published models; empty means the data bucket.
        warehouse: the tables and views: `duckdb://FILE` or `bigquery://PROJECT/DATASET[?location=EU]`.
        source: the market data: `yahoo`, `sample`, `simulated`, or a file or folder of CSV or Parquet; of hours
            `binance`, also where nothing is set, `simulated`, or such a file or folder.
        yahoo_requests: the largest number of simultaneous requests to Yahoo.
        yahoo_pause_s: seconds between the starts of two requests to Yahoo, for addresses that it refuses too soon.
        function_hosts: further host names by which a function outside Google Cloud is called, separated by commas; it
            answers to this machine's own names, and to that of `function_url`.
        binance_url: where the source `binance` asks for hourly bars.
        alpaca_key: the key id of an Alpaca paper account, for the broker `alpaca-paper://`. Alpaca refuses live keys on
            that host.
        alpaca_secret: the secret of that key; like every setting, it may also be a file of its name in small letters in
            `/run/secrets`: `tickercast_alpaca_secret`.
        binance_testnet_key: an HMAC key of Binance's spot test network, for the broker `binance-testnet://`.
        binance_testnet_secret: the secret of that key.
        events_source: where the daily flow asks for results days: `sec`, `yahoo`, a CSV file or `none`; empty means
            `yahoo` if the bars are Yahoo's, and `none` for other bars.
        sec_user_agent: the name and e-mail address that the SEC wants to know: `Jane Doe jane@example.com`.
        sec_url: where the SEC's list of companies is.
        sec_data_url: where the SEC's lists of filings are.
        watchlist: a file of the symbols of the daily flow, or an object of the data bucket by its URL; empty means
            `watchlist.txt` of the home, which `tickercast watchlist` keeps, and without one all symbols that the source
            can list.
        universe: members of which the daily flow watches the best, chosen anew each day:
            `FILE:by=return,over=60,top=20`, as `tickercast universe` ranks them; positions on paper stay. It replaces
            `watchlist`; empty: not ranked.
        hourly_watchlist: a file of the coins of the hourly flow, or an object of the data bucket by its URL.
        portfolios: files of holdings whose record the daily flow keeps, or objects of the data bucket by their URLs,
            separated by commas.
        trade: strategies that the daily flow trades on paper, as `STRATEGY@BROKER`, with spaces between, such as
            `volatility-target@paper://`; empty: none.
        trade_hourly: strategies that the hourly flow trades on paper, in the same form, such as `direction@paper://`.
        trade_limits: the limits of a strategy on paper, any of `stop=0.2,position=1,turnover=2,orders=100`, whose
            values hold for what is not named. `stop` is the loss at which it is closed and halted; position and
            turnover of 24 hours are shares of equity.
        retrain_on_losses: `SHARE/LAST`, such as 0.4/20: tune the champion anew at the next training when a smaller
            share of the last results of a strategy that is traded on paper were gains. Empty: never.
        function_url: where a local bucket delivers its events; empty means in this process.
        mlflow_tracking_uri: the model registry: `sqlite:///FILE`, `http(s)://…` of an MLflow server, or
            `bucket://FOLDER/NAME.db`, a SQLite file that is kept in the bucket of the models.
        bigquery_emulator_host: the URL of a BigQuery emulator, by the name that Google's client reads.
        models: the models that forecast every file, separated by commas: `champion`, and any of the models that need no
            training beside it, such as `ewma-t`, `prophet` or `auto-ets`.
        companion_deadline_s: seconds that all models beside the champion may take for one file; forecasts that are not
            ready by then are left out. The function itself is stopped after 300.
        retrain_below: `SHARE/LAST`, such as 0.6/24: grow the trees of the direction model again when a smaller share of
            the last directions was right. Empty: when they are shown to be worse than a coin. In any case they grow
            again each month.
        max_query_gb: the gigabytes that one query may be billed for on BigQuery; one that needs more is refused, and
            nothing is billed. 1,000 cost 6 US dollars.
        max_file_mb: the largest file that the function reads, in megabytes, unpacked. 64 hold three years of a thousand
            symbols; whatever such a file holds, the function fits into 1 GiB with it.
        max_event_age_h: hours after which an event that still fails is given up and its file quarantined; the
            platform itself keeps events for 24 hours.
        query_timeout_s: seconds after which a typed query is ended.
        query_memory_mb: the megabytes of this machine's memory that such a query, its answer included, may take,
            reserved and unused ones counted; on systems other than Linux, only what DuckDB itself counts, without the
            texts that functions make.
        log_format: `json` for Cloud Logging's fields, `text`, or `auto`: JSON on Cloud Run and AWS Lambda.
        google_cloud_project: the project of the traces that log lines belong to, by Google's own name.
        storage_emulator_host: the URL of a Cloud Storage emulator, by the name that Google's client reads.
        alert_urls: Apprise URLs of the receivers of alerts; secret, since they contain passwords and tokens.
        digest_urls: Apprise URLs of the receivers of the daily flow's digest, one message a day; secret, too.
        oidc_issuer: the OpenID Connect provider by which people sign in to the dashboard, such as
            `https://accounts.google.com`.
        oidc_client_id: the id by which that provider knows the dashboard.
        oidc_client_secret: the provider's secret for it; like every setting, it may also be a file of its name in small
            letters in `/run/secrets`: `tickercast_oidc_client_secret`.
        dashboard_url: the address at which people open the dashboard, such as `https://forecasts.example.org`; empty
            means this machine's. The provider has to know it with `/oauth2callback` at its end.
        dashboard_viewers: the people who may open the dashboard once there is a login: addresses, `@example.org`, a
            claim such as `groups=desk`, or `*` for everybody who can sign in, separated by commas.
        dashboard_operators: the people who may, beyond that, make and revoke tokens; in the same words, without `*`.
        iap_audience: instead of a provider, the audience of Google's IAP in front of the dashboard:
            `/projects/NUMBER/locations/REGION/services/NAME`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", populate_by_name=True
    )

    home: str = DEFAULT_HOME
    bucket: str = Field(default_factory=InHome("file://{}/bucket"))
    model_bucket: str = ""
    warehouse: str = Field(default_factory=InHome("duckdb://{}/warehouse.duckdb"))
    source: str = "yahoo"
    yahoo_requests: int = Field(4, ge=1, le=64)
    yahoo_pause_s: float = Field(0, ge=0, le=60)
    binance_url: _Base = "https://data-api.binance.vision"
    alpaca_key: SecretStr = SecretStr("")
    alpaca_secret: SecretStr = SecretStr("")
    binance_testnet_key: SecretStr = SecretStr("")
    binance_testnet_secret: SecretStr = SecretStr("")
    events_source: str = ""
    sec_user_agent: str = ""
    sec_url: _Base = "https://www.sec.gov"
    sec_data_url: _Base = "https://data.sec.gov"
    function_url: _Address = ""
    function_hosts: str = ""
    watchlist: str = ""
    universe: str = ""
    hourly_watchlist: str = ""
    portfolios: str = ""
    trade: str = ""
    trade_hourly: str = ""
    trade_limits: str = ""
    retrain_on_losses: str = ""
    mlflow_tracking_uri: str = Field(
        default_factory=InHome("sqlite:///{}/mlflow.db"), validation_alias="MLFLOW_TRACKING_URI"
    )
    bigquery_emulator_host: _Emulator = Field("", validation_alias="BIGQUERY_EMULATOR_HOST")
    models: str = "champion"
    companion_deadline_s: float = Field(60, gt=0, le=240)
    retrain_below: str = ""
    max_query_gb: float = Field(1000, gt=0)
    max_file_mb: float = Field(64, gt=0, le=10_000)
    max_event_age_h: float = Field(24, gt=0, le=10_000)
    query_timeout_s: float = Field(60, gt=0, le=86_400)
    query_memory_mb: int = Field(1024, ge=64, le=1_000_000)
    log_format: Literal["auto", "json", "text"] = "auto"
    google_cloud_project: str = Field("", validation_alias="GOOGLE_CLOUD_PROJECT")
    storage_emulator_host: _Emulator = Field("", validation_alias="STORAGE_EMULATOR_HOST")
    alert_urls: SecretStr = SecretStr("")
    digest_urls: SecretStr = SecretStr("")
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    dashboard_url: str = ""
    dashboard_viewers: str = ""
    dashboard_operators: str = ""
    iap_audience: str = ""

    @property
    def home_folder(self) -> Path:
        """The home, as an absolute path."""
        return Path(self.home).expanduser().absolute()

    @property
    def watchlist_file(self) -> str:
        """The file of the watchlist, or its URL; empty where there is none."""
        kept = self.home_folder / "watchlist.txt"
        return self.watchlist or (str(kept) if kept.is_file() else "")

    @property
    def other_home(self) -> Path | None:
        """The nearest `.tickercast` in the current folder or above, where the home is another one and in use."""
        if not any(str(self.home_folder) in url for url in (self.bucket, self.warehouse)):
            return None
        here = Path.cwd()
        kept = (folder / DEFAULT_HOME for folder in (here, *here.parents))
        nearest = next((each for each in kept if each.is_dir()), None)
        return None if nearest is None or nearest.resolve() == self.home_folder.resolve() else nearest


@contextmanager
def using(settings: Settings) -> Iterator[None]:
    """Make `load` return these settings for as long as the block runs, in this thread."""
    token = _ACTIVE.set(settings)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def in_use() -> bool:
    """Whether `using` names the settings of this thread, as an application does that calls the function itself."""
    return _ACTIVE.get() is not None


def load() -> Settings:
    """Read the settings from the environment, unless `using` names others.

    Raises:
        UsageError: a variable with the prefix is not a setting, or its value is not valid.
    """
    active = _ACTIVE.get()
    return active if active is not None else _from_environment()


def _from_environment() -> Settings:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(known))}."
            raise UsageError(f"{name} is set and is not a setting: {hint} Unset it or correct its name.")
    try:
        return Settings(_secrets_dir=SECRETS if SECRETS.is_dir() else None)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        setting = name if name.isupper() else PREFIX + name.upper()
        raise UsageError(f"{setting} is {first['input']!r}: {first['msg']}. Correct it or unset it.") from error


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The same settings with some of them changed.

    Raises:
        UsageError: a changed one is not valid.
    """
    try:
        kept = {name: value for name, value in settings if name in settings.model_fields_set}
        return Settings(**{**kept, **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][0]} is {first['input']!r}: {first['msg']}. Correct it.") from error


def wrong_proxy() -> UsageError:
    """The error where a request to a valid address is refused before it is sent, as the proxy of this machine is none.

    The values stay unsaid: they may hold a password.
    """
    named = sorted(name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy"))
    return UsageError(
        f"The proxy in {' or '.join(named) or 'the settings of this machine'} is no address that requests can be sent "
        "through: http://HOST:PORT was needed. Correct it or unset it."
    )


def on_cloud_run() -> bool:
    """Whether this process runs on Cloud Run, which names its service or job in the environment."""
    return "K_SERVICE" in os.environ or "CLOUD_RUN_JOB" in os.environ


def on_lambda() -> bool:
    """Whether this process runs on AWS Lambda, which names its function in the environment."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def memory_mib() -> int | None:
    """The memory of this instance of a function in MiB; None outside of Cloud Run and AWS Lambda."""
    if on_lambda():
        return int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")) or None
    if not on_cloud_run():
        return None
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_memory_limits()]) // 2**20


def _memory_limits() -> Iterator[int]:
    """The limits in bytes that this container was given, by either version of control groups."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # `max` stands for none
            yield int(Path("/sys/fs/cgroup", name).read_text())


def silence_telemetry() -> None:
    """Turn the telemetry of libraries off, and keep MLflow quiet, unless the user has decided otherwise."""
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # Cloud Storage's client asks for the bucket in the background, for traces that nobody collects.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def bound_mlflow() -> None:
    """Let MLflow give a server up within a minute, rather than in five, unless the user has decided otherwise."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "25")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")


def take_headers(longest: int) -> None:
    """Let websockets take headers of so many bytes, unless the user has decided otherwise; read at its import."""
    os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", str(longest))


def silence_prefect() -> None:
    """Turn Prefect's telemetry off, and keep its files in the home, unless the user has decided otherwise.

    Prefect and Dask read these variables when they are imported.
    """
    silence_telemetry()
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    # Its ephemeral server needs 10 s on a quiet machine, and Prefect would give up after 20.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    # A failure there is raised here; a worker whose scheduler closes first logs a traceback of its own.
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    if "PREFECT_HOME" not in os.environ:
        home = Path(os.environ.get(f"{PREFIX}HOME") or DEFAULT_HOME).expanduser().absolute() / "prefect"
        with suppress(OSError):  # Prefect reports that itself
            private_folder(home.parent)  # Prefect does not create it
        os.environ["PREFECT_HOME"] = str(home)


def set_up_tensorflow() -> None:
    """Keep TensorFlow's start-up messages off the screen, and its small operations on one thread.

    Sharing an operation of a few thousand numbers among threads costs more than it gains. What the user has set stays.
    Call it before TensorFlow is imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def keep_files_private() -> None:
    """Let this process create files that no other user can read: bars, forecasts, logs and logins."""
    os.umask(0o077)


def private_folder(path: Path) -> None:
    """Create a folder, and those above it that are missing, for this user alone.

    Raises:
        OSError: the folder cannot be created; `NotADirectoryError` where a file lies in its place.
    """
    if not path.is_dir():
        private_folder(path.parent)
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error


def resource(name: str) -> Path:
    """The path of a file or folder that a checkout keeps at its top, and the wheel inside the package."""
    packaged = Path(__file__).parent / name
    return packaged if packaged.exists() else Path(__file__).parents[2] / name
