"""Write the file of `tickercast.domain.calendar_file` again, from the installed exchange_calendars."""

from tickercast.domain import calendar, calendar_file


def main() -> None:
    """Build every calendar, which takes a minute, and write the file."""
    first, last = calendar_file.FIRST.year, calendar_file.LAST.year
    calendar_file.write({name: calendar.build(name, first, last) for name in sorted(calendar.CALENDARS)})


if __name__ == "__main__":
    main()
