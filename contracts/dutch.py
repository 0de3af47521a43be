"""Dates as people in the Netherlands say them. Pure."""

from datetime import date

_DAYS = ("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag")
_MONTHS = (
    *("januari", "februari", "maart", "april", "mei", "juni"),
    *("juli", "augustus", "september", "oktober", "november", "december"),
)


def date_words(day: date) -> str:
    """`13 oktober 2025`."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def day_words(day: date) -> str:
    """`maandag 13 oktober 2025`."""
    return f"{_DAYS[day.weekday()]} {date_words(day)}"
