# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A lock, or several, handed over in the order in which they were asked for."""

from collections import deque
from threading import Lock
from types import TracebackType


class Turns:
    """Threads take turns, one or more at once; nobody overtakes."""

    def __init__(self, at_once: int = 1) -> None:
        """Nobody is at it yet."""
        self._guard = Lock()
        self._free = at_once
        self._queue: deque[Lock] = deque()

    def __enter__(self) -> None:
        """Wait for one's turn."""
        with self._guard:
            if self._free:
                self._free -= 1
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
                self._free += 1

    def _leave(self, mine: Lock) -> None:
        """Stop waiting; a turn that came at the same moment goes to the next."""
        with self._guard:
            waiting = mine in self._queue
            if waiting:
                self._queue.remove(mine)
        if not waiting:
            self.__exit__(None, None, None)
