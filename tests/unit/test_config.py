"""The settings: what is read, what is refused, and what holds for a while."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from tickercast import config
from tickercast.errors import UsageError


def test_a_laptop_needs_no_settings(workspace: Path) -> None:
    settings = config.load()
    home = workspace / ".tickercast"
    assert settings.home_folder == home
    assert settings.bucket == f"file://{home}/bucket"
    assert settings.warehouse == f"duckdb://{home}/warehouse.duckdb"
    assert settings.source == "yahoo"
    assert settings.mlflow_tracking_uri == f"sqlite:///{home}/mlflow.db"


def test_one_home_is_found_from_any_folder(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("TICKERCAST_HOME", str(home))
    here = config.load()
    monkeypatch.chdir(elsewhere)
    assert config.load() == here
    assert here.bucket == f"file://{home}/bucket"
    assert config.changed(here, {"home": str(workspace)}).bucket == f"file://{workspace}/bucket"
    assert config.changed(here, {"source": "sample"}).bucket == here.bucket


def test_an_older_home_in_this_folder_or_above_is_known(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load().other_home is None
    (workspace / ".tickercast").mkdir()
    assert config.load().other_home is None
    (workspace / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(workspace / "deep" / "er")
    assert config.load().other_home == workspace / ".tickercast"
    monkeypatch.setenv("TICKERCAST_HOME", str(workspace / ".tickercast"))
    assert config.load().other_home is None
    monkeypatch.setenv("TICKERCAST_HOME", str(workspace / "new"))
    assert config.load().other_home == workspace / ".tickercast"
    monkeypatch.setenv("TICKERCAST_BUCKET", "gs://bars")
    monkeypatch.setenv("TICKERCAST_WAREHOUSE", "bigquery://project/dataset")
    assert config.load().other_home is None


def test_the_watchlist_of_the_home_is_the_default(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load().watchlist_file == ""
    kept = workspace / ".tickercast" / "watchlist.txt"
    kept.parent.mkdir()
    kept.write_text("MSFT\n")
    assert config.load().watchlist_file == str(kept)
    monkeypatch.setenv("TICKERCAST_WATCHLIST", "gs://bars/watchlist.txt")
    assert config.load().watchlist_file == "gs://bars/watchlist.txt"


def test_the_environment_is_read(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_SOURCE", "sample")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    settings = config.load()
    assert (settings.source, settings.mlflow_tracking_uri) == ("sample", "sqlite:///elsewhere.db")


def test_an_unknown_setting_is_refused_with_the_likely_one(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_BUKET", "file://x")
    with pytest.raises(UsageError, match="did you mean TICKERCAST_BUCKET"):
        config.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TICKERCAST_MAX_FILE_MB", "lots"),
        ("TICKERCAST_MAX_FILE_MB", "-1"),
        ("TICKERCAST_MAX_EVENT_AGE_H", "inf"),
        ("TICKERCAST_MAX_EVENT_AGE_H", "nan"),
        ("TICKERCAST_LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_the_settings_name(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"{name} is '{value}': Input should be"):
        config.load()


@pytest.mark.parametrize(
    "name",
    [
        *("TICKERCAST_BINANCE_URL", "TICKERCAST_SEC_URL", "TICKERCAST_SEC_DATA_URL", "TICKERCAST_FUNCTION_URL"),
        *("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"),
    ],
)
@pytest.mark.parametrize(
    "value", ["foo bar", "ftp://host", "https://", "https://:80", "https://a b", "https://a:x", "https://a..b"]
)
def test_an_address_that_no_server_can_have_is_refused_by_the_settings_name(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(
        UsageError, match=rf"^{name} is '.*{value}': https://HOST was needed.*\. Correct it or unset it"
    ):
        config.load()


def test_addresses_are_taken_as_they_are_and_those_of_emulators_without_a_scheme(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_BINANCE_URL", "foo")
    with pytest.raises(UsageError, match="TICKERCAST_BINANCE_URL is 'foo': https://HOST was needed"):
        config.load()
    monkeypatch.setenv("TICKERCAST_BINANCE_URL", "https://host/?a=b")
    with pytest.raises(UsageError, match=r"without \? or #, since paths are added to it"):
        config.load()
    monkeypatch.setenv("TICKERCAST_BINANCE_URL", "https://mirror.example:8443/binance/")
    monkeypatch.setenv("TICKERCAST_FUNCTION_URL", "http://me:pw@[::1]:8080/?key=x")
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "localhost:9050")
    settings = config.load()
    assert settings.binance_url == "https://mirror.example:8443/binance/"
    assert settings.function_url == "http://me:pw@[::1]:8080/?key=x"
    assert settings.bigquery_emulator_host == "http://localhost:9050"


def test_settings_cannot_be_changed(workspace: Path) -> None:
    with pytest.raises(ValidationError):
        config.load().source = "sample"  # type: ignore[misc]


def test_a_checkout_finds_its_sql_and_its_function() -> None:
    assert (config.resource("sql") / "tables" / "prices.sql").is_file()
    assert (config.resource("cloud_function") / "main.py").is_file()


def test_other_settings_hold_for_a_block_and_its_thread_only(workspace: Path) -> None:
    other = config.Settings(source="sample")
    with config.using(other), ThreadPoolExecutor(1) as pool:
        assert config.load() is other
        assert pool.submit(config.load).result().source == "yahoo"
        with config.using(config.Settings(source="simulated")):
            assert config.load().source == "simulated"
        assert config.load() is other
    assert config.load().source == "yahoo"


def test_settings_are_changed_by_value_and_checked(workspace: Path) -> None:
    settings = config.load()
    assert config.changed(settings, {}) == settings
    made = config.changed(settings, {"source": "sample", "max_file_mb": "8", "alert_urls": "json://x"})
    assert (made.source, made.max_file_mb, made.bucket) == ("sample", 8.0, settings.bucket)
    assert made.alert_urls.get_secret_value() == "json://x"
    with pytest.raises(UsageError, match="max_file_mb is -1: Input should be greater than 0"):
        config.changed(settings, {"max_file_mb": -1})
