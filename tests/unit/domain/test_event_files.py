from datetime import UTC, date, datetime

import pytest

from tickercast.domain.files.event_files import read_events, write_events
from tickercast.errors import InvalidBars

WRITTEN = datetime(2023, 7, 22, 12, tzinfo=UTC)


def read(text: str, name: str = "events/mine.csv"):
    return read_events(text.encode(), name, WRITTEN).to_pylist()


def test_a_file_of_events_is_read_whole():
    rows = read(
        "\ufeffSymbol,Date,Session,Known_at,Source\n"
        "msft,2023-07-25,amc,2023-07-06T08:00:00-04:00,vendor\n"
        "MMM, 2023-07-25 ,before,2023-07-01,\n"
        "\n"
        "MMM,2023-07-25,before,2023-07-01,\n"
    )
    assert rows == [
        {
            "symbol": "MSFT",
            "date": date(2023, 7, 25),
            "session": "after",
            "kind": "results",
            "source": "vendor",
            "known_at": datetime(2023, 7, 6, 12, tzinfo=UTC),
        },
        {
            "symbol": "MMM",
            "date": date(2023, 7, 25),
            "session": "before",
            "kind": "results",
            "source": "file",
            "known_at": datetime(2023, 7, 1, tzinfo=UTC),
        },
    ]


def test_a_day_that_nobody_dated_is_known_from_the_writing_or_from_its_own_end():
    past, coming = read("date\n2023-04-25\n2023-07-25\n", "events/MSFT.csv")
    assert past["known_at"] == datetime(2023, 4, 26, tzinfo=UTC)
    assert coming["known_at"] == WRITTEN
    assert {row["symbol"] for row in (past, coming)} == {"MSFT"}


def test_what_is_written_reads_the_same():
    rows = read_events(b"symbol,date\nMSFT,2023-04-25\n", "events/x.csv", WRITTEN)
    assert read_events(write_events(rows), "events/x.csv", WRITTEN) == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with ''"),
        ("symbol,day\nMSFT,2023-07-25\n", "begins with 'symbol,day'"),
        ("date,date,symbol\n", "begins with"),
        ("date\n2023-07-25\n", "named after its symbol"),
        ("symbol,date\n", "no events below its header"),
        ("symbol,date\nMSFT,25.07.2023\n", "line 2 has the date '25.07.2023'"),
        ("symbol,date\nMSFT,0001-07-25\n", "one from 1900 to 2100"),
        ("symbol,date\n,2023-07-25\n", "line 2: '' is not a symbol"),
        ("symbol,date\nM SFT,2023-07-25\n", "line 2: 'M SFT' is not a symbol"),
        ("symbol,date\nMSFT.QQ,2023-07-25\n", "line 2: MSFT.QQ ends in .QQ"),
        ("symbol,date,session\nMSFT,2023-07-25,noon\n", "before, after or unknown"),
        ("symbol,date,kind\nMSFT,2023-07-25,split\n", "only results is known"),
        ("symbol,date\nMSFT,2023-07-25,x\n", "line 2 has 3 cells, and its header has 2"),
        ("symbol,date,known_at\nMSFT,2023-07-25,soon\n", "a moment such as"),
        ("symbol,date,known_at\nMSFT,2023-07-25,2023-07-23\n", "nobody knows a thing before"),
        (f"symbol,date,source\nMSFT,2023-07-25,{'x' * 41}\n", "up to 40 characters"),
        ('symbol,date\n"MSFT,2023-07-25\n', "is not CSV"),
        ("symbol,date\nMSFT,2023-07-25\nMMM\n", "line 3 has 1 cells"),
        (
            "symbol,date,session\nMSFT,2023-04-25,before\nMMM,2023-04-25,after\nMSFT,2023-04-25,amc\n",
            "lines 2 and 4 say that MSFT reports on 2023-04-25 both before and after",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(text, said):
    with pytest.raises(InvalidBars) as error:
        read(text, "events/the list.csv")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_session_may_be_known_later_or_be_told_beside_an_unknown_one():
    text = "symbol,date,session,known_at\nMSFT,2023-07-25,before,2023-07-01\nMSFT,2023-07-25,after,2023-07-02\n"
    assert len(read(text)) == 2
    assert len(read("symbol,date,session\nMSFT,2023-07-25,\nMSFT,2023-07-25,after\n")) == 2


def test_a_file_of_more_lines_than_memory_holds_is_refused_unread():
    with pytest.raises(InvalidBars, match="has 200,002 lines, and at most 200,000 are read"):
        read("symbol,date\n" + "\n" * 200_001)


def test_what_is_no_text_is_refused():
    with pytest.raises(InvalidBars, match="not text in UTF-8"):
        read_events(b"\xff\xfe\x00", "events/x.csv", WRITTEN)
