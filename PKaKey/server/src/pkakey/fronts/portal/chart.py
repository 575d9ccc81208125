"""The activity chart: plain numbers for a server-rendered SVG, and the same in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from pkakey.selectors.results import DayCount

WIDTH = 720
HEIGHT = 150
TOP = 20
BASE = 128


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: a rectangle in the drawing's units, and its sentence."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws."""

    days: Sequence[DayCount]
    bars: tuple[Bar, ...]
    most: int
    words: str
    width: int = WIDTH
    height: int = HEIGHT
    base: int = BASE
    text_y: int = HEIGHT - 6

    @property
    def first(self) -> str:
        """The first day."""
        return f"{self.days[0].day:%Y-%m-%d}" if self.days else ""

    @property
    def last(self) -> str:
        """The last day."""
        return f"{self.days[-1].day:%Y-%m-%d}" if self.days else ""


def activity(days: Sequence[DayCount]) -> Chart:
    """Return the chart of certificates issued by day."""
    most = max((day.count for day in days), default=0)
    step = WIDTH / max(len(days), 1)
    bars = []
    for index, day in enumerate(days):
        # A day with one certificate beside one with thousands must still be seen.
        height = max(2.0, (BASE - TOP) * day.count / most) if day.count else 0.0
        bars.append(
            Bar(
                x=round(index * step + step * 0.12, 2),
                y=round(BASE - height, 2),
                width=round(step * 0.76, 2),
                height=round(height, 2),
                words=f"{day.day:%Y-%m-%d}: {day.count:,}",
            )
        )
    total = sum(day.count for day in days)
    words = f"{total:,} certificates in {len(days)} days, at most {most:,} on one day."
    return Chart(days=days, bars=tuple(bars), most=most, words=words)
