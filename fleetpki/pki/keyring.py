# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The signing keys this process holds: opened when they are first needed, then kept."""

import threading
from collections.abc import Callable

from fleetpki.pki.keys import PrivateKey

OpenKey = Callable[[str], PrivateKey]
"""Opens the key at a URI."""


class KeyRing:
    """The authorities' keys, by their URI."""

    def __init__(self, open_key: OpenKey) -> None:
        """Keep what ``open_key`` opens."""
        self._open_key = open_key
        self._keys: dict[str, PrivateKey] = {}
        self._opening = threading.Lock()

    def key(self, uri: str) -> PrivateKey:
        """The key at a URI; whatever keeps it from being opened is tried again the next time."""
        with self._opening:
            if uri not in self._keys:
                self._keys[uri] = self._open_key(uri)
            return self._keys[uri]
