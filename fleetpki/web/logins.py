# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Failed logins are counted per address, so that they do not fill the audit chain."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock

#: So many failures within so many seconds, and more are put off until the first is that old.
LIMIT = 10
WINDOW_S = 60.0

_MAX_ADDRESSES = 10_000


class FailedLogins:
    """What failed lately, by address; the address that failed least recently is forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without a memory."""
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def wait_s(self, address: str) -> int:
        """How many seconds this address has to wait before it may try again; mostly 0."""
        with self._lock:
            failures = self._failures.get(address)
            if failures is None or len(failures) < LIMIT:
                return 0
            remaining = failures[0] + WINDOW_S - self._clock()
            return max(0, int(remaining + 1)) if remaining > 0 else 0

    def failed(self, address: str) -> None:
        """Somebody at this address was not who they said they were."""
        with self._lock:
            self._failures.setdefault(address, deque(maxlen=LIMIT)).append(self._clock())
            self._failures.move_to_end(address)
            if len(self._failures) > _MAX_ADDRESSES:
                self._failures.popitem(last=False)
