# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A lock that is handed over in the order in which it was asked for."""

from collections import deque
from threading import Lock
from types import TracebackType


class Turns:
    """Threads take turns; nobody overtakes."""

    def __init__(self) -> None:
        """Nobody is at it yet."""
        self._guard = Lock()
        self._taken = False
        self._queue: deque[Lock] = deque()

    def __enter__(self) -> None:
        """Wait for one's turn."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = Lock()
            mine.acquire()
            self._queue.append(mine)
        try:
            mine.acquire()
        except BaseException:
            self._leave(mine)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hand over to the next."""
        with self._guard:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False

    def _leave(self, mine: Lock) -> None:
        """Stop waiting; a turn that came at the same moment goes to the next."""
        with self._guard:
            waiting = mine in self._queue
            if waiting:
                self._queue.remove(mine)
        if not waiting:
            self.__exit__(None, None, None)
