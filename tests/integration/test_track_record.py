"""The record that a report shows beside a forecast, read from a warehouse that the function has filled."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.support.place import Place

from tickercast import cli
from tickercast.app import App
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.forecast import Forecast
from tickercast.jobs.requests.results import read_results
from tickercast.jobs.requests.suggest import suggest
from tickercast.jobs.requests.upload import Upload
from tickercast.reading.forecasts import champion_forecasts
from tickercast.reading.track_record import SESSIONS, TrackRecord, bars_before, closes_before, track_record
from tickercast.show import sentences

MakeBars = Callable[..., Bars]
CUTOFF = date(2023, 7, 21)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def arrive(place: Place, bars: Bars, as_of: date = date(2023, 7, 22)) -> Forecast:
    event = place.upload(f"ohlc/{as_of}/{bars.symbol}.csv", to_csv([bars]))
    place.handle(event)
    uploaded = Upload(event.name, event.generation, (bars.symbol,))
    [made] = read_results(uploaded, warehouse=place.warehouse).forecasts
    return made


def test_the_bars_before_a_forecast_are_ninety_sessions_with_indicators(place: Place, make_bars: MakeBars) -> None:
    bars = make_bars()
    made = arrive(place, bars)
    frame = bars_before(made, warehouse=place.warehouse)
    assert len(frame) == SESSIONS
    assert frame["session_date"].iloc[-1].date() == made.cutoff == CUTOFF
    np.testing.assert_allclose(frame["close"], bars.frame["close"].tail(SESSIONS))
    assert frame["sma_50"].iloc[-1] == pytest.approx(bars.frame["close"].tail(50).mean())
    assert closes_before(made, warehouse=place.warehouse) == pytest.approx(list(frame["close"]))


def test_an_older_forecast_is_shown_with_the_bars_of_its_own_time(place: Place, make_bars: MakeBars) -> None:
    bars = make_bars()
    earlier = bars.until(CUTOFF - timedelta(days=30))
    made = arrive(place, earlier, date(2023, 6, 22))
    arrive(place, bars)
    frame = bars_before(made, warehouse=place.warehouse)
    assert frame["session_date"].iloc[-1].date() == made.cutoff == earlier.cutoff
    assert len(frame) == SESSIONS


def test_bars_that_a_split_has_restated_are_brought_back_to_the_forecasts_prices(
    place: Place, make_bars: MakeBars
) -> None:
    bars = make_bars()
    earlier = bars.until(CUTOFF - timedelta(days=30))
    made = arrive(place, earlier, date(2023, 6, 22))
    before = bars_before(made, warehouse=place.warehouse)
    names = ["open", "high", "low", "close", "adj_close"]
    split = bars.frame.assign(**{name: bars.frame[name] / 4 for name in names})
    arrive(place, Bars("MSFT", split))
    after = bars_before(made, warehouse=place.warehouse)
    assert after["close"].iloc[-1] == pytest.approx(made.last_close)
    pd.testing.assert_frame_equal(after, before, check_exact=False, rtol=1e-9)


def test_bars_from_before_a_gap_are_left_out(place: Place, make_bars: MakeBars) -> None:
    arrive(place, make_bars(last=date(2020, 7, 21)), date(2020, 7, 22))
    made = arrive(place, make_bars(sessions=120))
    assert bars_before(made, warehouse=place.warehouse)["session_date"].min() > pd.Timestamp("2023-01-01")
    made = arrive(place, make_bars("IBM", last=date(2020, 7, 21)), date(2020, 7, 22))
    recent = make_bars("IBM", sessions=101)
    place.handle(place.upload("ohlc/2023-07-22/IBM.csv", to_csv([recent])))
    assert bars_before(made, warehouse=place.warehouse)["session_date"].max() == pd.Timestamp("2020-07-21")


def test_a_first_forecast_has_no_record_yet_and_a_later_one_has(place: Place, make_bars: MakeBars) -> None:
    bars = make_bars()
    made = arrive(place, bars.until(CUTOFF - timedelta(days=30)), date(2023, 6, 22))
    assert track_record(made, warehouse=place.warehouse) == TrackRecord()
    made = arrive(place, bars)
    record = track_record(made, warehouse=place.warehouse)
    assert record is not None
    skill = place.warehouse.read("forecast_skill", {"symbol": "MSFT"})
    [row] = skill[skill["step"].isna()].to_dict("records")
    assert (record.verdict, record.n, record.blocks) == ("too early", 10, 1)
    assert record.n_backfilled == row["n_backfilled"]
    assert record.pinball_ratio == row["pinball_ratio"]
    assert np.isnan(record.pinball_ratio_lo)


def test_a_record_of_dates_of_training_says_so_wherever_it_is_shown(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said_by(*words: str) -> str:
        with pytest.raises(SystemExit):
            cli.run(words)
        return " ".join(capsys.readouterr().out.split())

    app = App(Settings(source="sample"))
    for day in ("2008-06-02", "2008-06-17", "2012-08-01"):
        app.forecast("MSFT", day)
    app.forecast(["MSFT", "IBM"], "2012-08-15")
    [seen] = app.seen_in_training()
    assert (seen.symbol, seen.model_version, seen.first_cutoff) == ("MSFT", "1", date(2008, 6, 2))
    end = f"but was trained on dates up to {seen.through}: "
    said = f"tickercast-lstm version 1 has forecasts of MSFT since 2008-06-02, {end}"
    for words in ("overview", "overview --json", "overview --csv", "forecast MSFT 2012-08-01 --source sample"):
        assert said in said_by(*words.split()), words
    assert "but was trained" not in said_by("overview", "IBM")
    counted = f"tickercast-lstm version 1 has forecasts of MSFT since 2012-08-01, {end}"
    for words in ("calibration", "calibration --json"):
        assert counted in said_by(*words.split()), words
    app.models.store.write("models/tickercast-lstm/1/model.json", b"{")
    assert sentences.had_seen(app.seen_in_training("MSFT"))[0].startswith(
        "The last training date of tickercast-lstm version 1 is not known: "
    )


def test_a_record_in_which_no_close_counts_says_how_many_came_true_and_why(place: Place, make_bars: MakeBars) -> None:
    bars = make_bars()
    made = arrive(place, Bars("MSFT", bars.rows(0, 385).frame.drop(index=[380])), date(2023, 7, 1))
    assert made.doubtful
    assert track_record(made, warehouse=place.warehouse) == TrackRecord()
    arrive(place, bars)
    assert track_record(made, warehouse=place.warehouse) == TrackRecord(uncounted={"doubtful": 10})


def test_who_asks_again_once_closes_are_known_gets_the_new_forecast_and_the_histories_keep_the_old(
    place: Place, make_bars: MakeBars
) -> None:
    bars = make_bars()
    before = arrive(place, bars)
    place.now += timedelta(days=9)
    corrected = bars.frame.assign(close=bars.frame["close"] + bars.frame.index.isin([len(bars) - 1]) * 0.01)
    after = arrive(place, Bars("MSFT", corrected), date(2023, 7, 23))
    assert (after.cutoff, after.last_close) == (before.cutoff, pytest.approx(before.last_close + 0.01))
    assert champion_forecasts({"MSFT": CUTOFF}, place.warehouse) == {"MSFT": after}
    for view in ("champion_forecasts", "forecast_history", "signals"):
        assert set(place.warehouse.read(view)["last_close"]) == {before.last_close}
    assert set(place.warehouse.read("latest_forecasts")["last_close"]) == {after.last_close}


def test_a_stored_forecast_says_what_is_odd_about_its_bars(place: Place, make_bars: MakeBars) -> None:
    odd = arrive(place, Bars("MSFT", make_bars().frame.drop(index=[395])))
    assert odd.findings
    plain = arrive(place, make_bars("IBM"))
    found = champion_forecasts({"MSFT": odd.cutoff, "IBM": plain.cutoff, "AAPL": odd.cutoff}, place.warehouse)
    assert found == {"MSFT": odd, "IBM": plain}
    assert champion_forecasts({"AAPL": odd.cutoff}, place.warehouse) == {}


def test_simulated_bars_have_no_record_and_real_ones_never_stand_before_their_forecast(
    place: Place, make_bars: MakeBars
) -> None:
    bars = make_bars()
    made = arrive(place, Bars("MSFT", bars.frame, simulated=True))
    assert made.simulated
    assert track_record(made, warehouse=place.warehouse) is None
    assert len(bars_before(made, warehouse=place.warehouse)) == SESSIONS
    arrive(place, bars)
    assert bars_before(made, warehouse=place.warehouse).empty


def test_a_mistyped_symbol_is_compared_with_those_forecast_before(place: Place, make_bars: MakeBars) -> None:
    arrive(place, make_bars("MSFT"))
    arrive(place, make_bars("VOD.L"))
    assert suggest(["MFST", "VODL", "ZZZ"], warehouse=place.warehouse) == {"MFST": "MSFT", "VODL": "VOD.L"}
    assert suggest([], warehouse=place.warehouse) == {}
