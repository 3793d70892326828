# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""When a certificate is renewed, and when somebody has to know that it was not: functions of its life only.

One rule for all lifetimes. The *window* of a certificate is its last 60 days, or the last third of its life
if that is shorter:

    window ─────────────────────────┐
    │ renewed here   │ tried again  │ warning │ critical │ expired
    └ 1 ─────────────┴ 1/2 ─────────┴ 1/4 ────┴ 1/8 ─────┴ 0   of the window left

Where in the first half of its window a device is asked is its own: fixed by its id, spread evenly over a
fleet.
"""

import hashlib
from datetime import datetime, timedelta

LONGEST_WINDOW = timedelta(days=60)
MAX_REPEATS = 8

_FIRST_REPEAT = timedelta(minutes=1)
_FIRST_RETRY = timedelta(hours=1)
_LONGEST_RETRY = timedelta(days=1)
_SHORTEST_RETRY = timedelta(minutes=1)


def window(not_before: datetime, not_after: datetime) -> timedelta:
    """How long before its end a certificate may be renewed."""
    return min(LONGEST_WINDOW, (not_after - not_before) / 3)


def renew_at(device_id: str, not_before: datetime, not_after: datetime) -> datetime:
    """When a device is asked to renew."""
    span = window(not_before, not_after)
    return not_after - span + span / 2 * spread(device_id)


def warn_at(not_before: datetime, not_after: datetime) -> datetime:
    """When a certificate that was not renewed worries somebody."""
    return not_after - window(not_before, not_after) / 4


def critical_at(not_before: datetime, not_after: datetime) -> datetime:
    """When it should worry everybody."""
    return not_after - window(not_before, not_after) / 8


def silent_at(asked_at: datetime, not_before: datetime, not_after: datetime) -> datetime:
    """When a device that was asked and has not been heard of since counts as silent."""
    return asked_at + window(not_before, not_after) / 8


def retry_at(failed_at: datetime, failures: int, not_after: datetime) -> datetime:
    """When a device whose rotation failed is asked again: later each time, but soon enough to matter."""
    pause = min(_LONGEST_RETRY, _FIRST_RETRY * (1 << min(failures - 1, 10)))
    return failed_at + max(_SHORTEST_RETRY, min(pause, (not_after - failed_at) / 8))


def repeat_at(said_at: datetime, repeats: int, rotation_id: str) -> datetime | None:
    """When an unanswered message is said again, after pauses that double; never after the last time.

    A device that is still away then is caught up when it connects.
    """
    if repeats >= MAX_REPEATS:
        return None
    return said_at + _FIRST_REPEAT * (1 << repeats) * (1 + spread(rotation_id) / 2)


def spread(name: str) -> float:
    """A number from 0 to 1 that is always the same for a name, and even over many names."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48
