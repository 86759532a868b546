"""Write the file of `tickercast.calendar_file` again, from the installed exchange_calendars."""

from tickercast import calendar_file
from tickercast.domain import calendar


def main() -> None:
    """Build every calendar, which takes a minute, and write the file."""
    first, last = calendar_file.FIRST.year, calendar_file.LAST.year
    calendar_file.write({name: calendar.build(name, first, last) for name in sorted(calendar.CALENDARS)})


if __name__ == "__main__":
    main()
