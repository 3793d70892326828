# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A bar chart as SVG: lengths are computed here, looks are the style sheet's."""

from collections.abc import Sequence
from dataclasses import dataclass

from fleetpki.registry.overview import Expiring

WIDTH, HEIGHT = 720, 150
_GAP = 6


@dataclass(frozen=True)
class Bar:
    """One bar, in the coordinates of the drawing."""

    x: float
    y: float
    width: float
    height: float
    count: int
    label: str
    title: str
    urgency: str
    """A class of the style sheet: soon, near or far."""


def bars(weeks: Sequence[Expiring]) -> list[Bar]:
    """A bar for each week; the fullest week is as high as the drawing."""
    most = max((week.count for week in weeks), default=0) or 1
    step = WIDTH / max(1, len(weeks))
    return [_bar(number, week, step, most) for number, week in enumerate(weeks)]


def _bar(number: int, week: Expiring, step: float, most: int) -> Bar:
    height = HEIGHT * week.count / most
    return Bar(
        x=round(number * step + _GAP / 2, 1),
        y=round(HEIGHT - height, 1),
        width=round(step - _GAP, 1),
        height=round(height, 1),
        count=week.count,
        label=f"{week.since:%d %b}",
        title=f"{week.count} end between {week.since:%Y-%m-%d} and {week.until:%Y-%m-%d}",
        urgency="soon" if number < 2 else "near" if number < 5 else "far",
    )
