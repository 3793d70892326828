# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Times as text."""

from datetime import datetime


def rfc3339(at: datetime, timespec: str = "auto") -> str:
    """A time in UTC as everybody is told it: it ends with Z."""
    return at.isoformat(timespec=timespec).replace("+00:00", "Z")
