# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Where authorities' keys are: ``file:ca/issuing.key``, or ``pkcs11:token=T;object=O`` (RFC 7512).

Passphrase and PIN come from files of their own, outside that directory: a copy of it alone signs nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from fleetpki.errors import FleetError
from fleetpki.pki import key_files, keys
from fleetpki.pki.keyring import KeyUnavailable
from fleetpki.pki.keys import KeyType, PrivateKey
from fleetpki.pki.pkcs11_keys import Token, TokenKey

_FILE, _TOKEN = "file:", "pkcs11:"


@dataclass(frozen=True)
class KeyStore:
    """The keys of a directory's authorities, in its files or on a token."""

    directory: Path
    passphrase_file: str | None = None
    pkcs11_module: str | None = None
    pin_file: str | None = None

    def open(self, uri: str) -> PrivateKey:
        """The key at a URI."""
        if uri.startswith(_TOKEN):
            return TokenKey.find(*self._token(uri))
        return key_files.load(self._path(uri), self.passphrase())

    def create(self, uri: str, key_type: KeyType) -> PrivateKey:
        """Make a new key there; one that exists is never replaced."""
        if uri.startswith(_TOKEN):
            return TokenKey.generate(*self._token(uri), key_type)
        key = keys.generate(key_type)
        key_files.save(self._path(uri), key, self.passphrase())
        return key

    def passphrase(self) -> bytes | None:
        """What the key files are encrypted with, if they are."""
        if self.passphrase_file is None:
            return None
        return self._secret(self.passphrase_file)

    def _path(self, uri: str) -> Path:
        path = (self.directory / uri.removeprefix(_FILE)).resolve()
        if not uri.startswith(_FILE) or not path.is_relative_to(self.directory.resolve()):
            raise FleetError(
                f"{uri!r} is no place for a key",
                "use file:ca/NAME.key or pkcs11:token=…;object=…",
                exit_code=2,
            )
        return path

    def _token(self, uri: str) -> tuple[Token, str]:
        """The token, and the label of the key there."""
        parts = [part.partition("=") for part in uri.removeprefix(_TOKEN).split(";")]
        named = {name: unquote(value) for name, _, value in parts}
        if set(named) != {"token", "object"} or self.pkcs11_module is None or self.pin_file is None:
            raise FleetError(
                f"cannot use the key {uri}",
                "write pkcs11:token=TOKEN;object=LABEL, and set pkcs11_module and pkcs11_pin_file",
                exit_code=2,
            )
        return Token(Path(self.pkcs11_module), named["token"], self._pin), named["object"]

    def _pin(self) -> str:
        return self._secret(self.pin_file or "").decode()

    def _secret(self, name: str) -> bytes:
        """The first line of a file; variables in its name are expanded, for ``$CREDENTIALS_DIRECTORY``."""
        path = Path(os.path.expandvars(name))
        if path.resolve().is_relative_to(self.directory.resolve()):
            raise FleetError(f"{path} is in the directory it is to protect", "keep it elsewhere", exit_code=2)
        try:
            return path.read_bytes().splitlines()[0]
        except (OSError, IndexError) as error:
            raise KeyUnavailable(
                f"cannot read the secret in {path}", "a key of an authority needs it"
            ) from error
