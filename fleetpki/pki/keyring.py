# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The signing keys this process holds: opened when they are first needed, then kept."""

import threading
from typing import Protocol

from fleetpki.errors import FleetError
from fleetpki.pki.keys import KeyType, PrivateKey


class Store(Protocol):
    """Where keys are."""

    def open(self, uri: str) -> PrivateKey:
        """The key at a URI."""

    def create(self, uri: str, key_type: KeyType) -> PrivateKey:
        """Make a new key there."""


class KeyUnavailable(FleetError):  # noqa: N818 - a state, not a mistake
    """A signing key cannot be used now: its file, its token or its certificate is not good for it."""

    def __init__(self, message: str, hint: str = "") -> None:
        """Say which key, and why."""
        super().__init__(message, hint, exit_code=4)


class KeyRing:
    """The authorities' keys, by their URI."""

    def __init__(self, store: Store) -> None:
        """Keep what is opened in a store."""
        self._store = store
        self._keys: dict[str, PrivateKey] = {}
        self._opening = threading.Lock()

    def key(self, uri: str) -> PrivateKey:
        """The key at a URI; whatever keeps it from being opened is tried again the next time."""
        with self._opening:
            if uri not in self._keys:
                self._keys[uri] = self._store.open(uri)
            return self._keys[uri]

    def create(self, uri: str, key_type: KeyType) -> PrivateKey:
        """Make a new key; one that exists is never replaced."""
        return self._store.create(uri, key_type)
