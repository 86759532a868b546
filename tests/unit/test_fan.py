"""The fan of a forecast, as a terminal shows it."""

from datetime import date, timedelta
from typing import Any

import pytest
from rich.console import Console

from tickercast.domain.forecast import Forecast, Step
from tickercast.show.fan import NARROWEST, fan

CUTOFF = date(2023, 7, 21)
BRAILLE = range(0x2800, 0x2900)


def made(last_close: float = 100.0, width: float = 0.1) -> Forecast:
    def at(step: int, part: float) -> float:
        return last_close * (1 + part * width * step / 10)

    steps = tuple(
        Step(
            step,
            CUTOFF + timedelta(days=step),
            close_median=last_close,
            close_lo_80=at(step, -0.5),
            close_hi_80=at(step, 0.5),
            close_lo_95=at(step, -1.0),
            close_hi_95=at(step, 1.0),
        )
        for step in range(1, 11)
    )
    return Forecast("MSFT", CUTOFF, last_close, steps, "lstm", "3")


def lines(*words: Any) -> list[str]:
    return fan(*words).plain.splitlines()


def test_the_fan_is_a_handful_of_lines_that_fit_the_terminal() -> None:
    for width in (NARROWEST, 80, 200):
        drawn = lines(made(), [100.0 + number % 7 for number in range(90)], {}, width)
        assert len(drawn) == 10
        assert max(map(len, drawn)) <= width


def test_the_intervals_open_from_the_last_close_and_the_wider_one_is_outside() -> None:
    *rows, axis = lines(made(), [100.0], {})[:10]
    columns = ["".join(row[row.index("┊") + 1 :][column] for row in rows) for column in (0, 29)]
    assert columns[0].strip() == "━"
    assert columns[1] == "░░▒▒━▒▒░░"
    assert "07-21" in axis
    assert axis.rstrip().endswith("07-31")


def test_what_followed_stands_where_it_fell() -> None:
    rows = lines(made(), [100.0], {CUTOFF + timedelta(days=10): 110.0, CUTOFF + timedelta(days=5): 100.0})
    assert rows[0].endswith("◆")
    assert rows[4].count("◆") == 1
    assert "◆ actual" in rows[-1]


def test_the_last_close_stands_next_to_the_cutoff_and_high_closes_above_low_ones() -> None:
    *rows, _ = lines(made(), [90.0, 110.0, 110.0, 90.0], {})[:10]
    left = [row[: row.index("┊")][-2:] for row in rows]
    assert [ord(letter) in BRAILLE for letter in left[0]] == [True, True]
    assert [ord(letter) in BRAILLE for letter in left[-1]] == [True, True]
    # 0x01 and 0x08 are the top dots: the second close and the third, each in the half of its column.
    assert ord(left[0][0]) - 0x2800 & 0x08
    assert ord(left[0][1]) - 0x2800 & 0x01


def test_three_closes_leave_the_first_half_of_their_columns_empty() -> None:
    [*rows, _] = lines(made(), [90.0, 90.0, 90.0], {})[:10]
    assert ord(rows[-1][rows[-1].index("┊") - 2]) - 0x2800 == 0x80


@pytest.mark.parametrize("closes", [[], [100.0]])
def test_a_fan_without_bars_before_it_is_drawn_all_the_same(closes: list[float]) -> None:
    assert "░" in "".join(lines(made(), closes, None))


def test_a_price_that_never_moves_is_no_division_by_zero() -> None:
    assert "━" in "".join(lines(made(width=0.0), [100.0] * 20, {}))


def test_prices_far_below_one_are_labelled_by_their_digits() -> None:
    drawn = lines(made(last_close=0.00012), [0.00012], {})
    assert drawn[0].lstrip().startswith("0.000132")


def test_a_console_without_colours_gets_the_same_letters() -> None:
    console = Console(width=100, force_terminal=True, no_color=True, color_system="standard")
    with console.capture() as capture:
        console.print(fan(made(), [100.0] * 50, {}))
    assert "\x1b[3" not in capture.get()
    assert "▒" in capture.get()
