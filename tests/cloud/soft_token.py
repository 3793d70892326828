# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A token for authorities' keys (SoftHSM) that can be pulled out and put back."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from fleetpki.pki import pkcs11_keys
from fleetpki.pki.key_store import KeyStore
from tests.cloud.broker_fixtures import PASSPHRASE, run_cli

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
ON_TOKEN = "pkcs11:token=fleet;object=issuing"


@dataclass
class SoftToken:
    """A token in files."""

    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        """What a fleet is told of it."""
        return {"pkcs11_module": str(MODULE), "pkcs11_pin_file": str(self.folder / "pin")}

    @property
    def store(self) -> KeyStore:
        (self.folder / "fleet").mkdir(exist_ok=True)
        return KeyStore(self.folder / "fleet", None, str(MODULE), str(self.folder / "pin"))

    def pull_out(self) -> None:
        (self.folder / "tokens").rename(self.folder / "elsewhere")

    def put_back(self) -> None:
        (self.folder / "elsewhere").rename(self.folder / "tokens")

    @contextmanager
    def pulled_out(self) -> Iterator[None]:
        self.pull_out()
        try:
            yield
        finally:
            self.put_back()


@contextmanager
def soft_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    """A new token, for this process and those it starts."""
    if shutil.which("softhsm2-util") is None:
        pytest.fail("softhsm2 is not installed: run 'make setup'")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    initialise = ["softhsm2-util", "--init-token", "--free", "--label", "fleet"]
    subprocess.run([*initialise, "--so-pin", "12345678", "--pin", "8765"], check=True, capture_output=True)
    (folder / "pin").write_text("8765\n")
    start_anew()
    yield SoftToken(folder)
    start_anew()


def sign_with_token(workspace: Path) -> None:
    """Give the fleet of a workspace an issuing authority with its key on the token, as an operator does."""
    csr, certificate, secret = (workspace / f"on-token.{end}" for end in ("csr", "crt", "pass"))
    secret.write_bytes(PASSPHRASE)
    at_root = ("--root-dir", workspace / "root", "--passphrase-file", secret, "--yes")
    at_fleet = ("--dir", workspace / "fleet")
    for command in (
        ("request", "on-token", "--out", csr, "--key-uri", ON_TOKEN, *at_fleet),
        ("sign", csr, "--out", certificate, *at_root),
        ("install", "on-token", certificate, "--key-uri", ON_TOKEN, *at_fleet),
        ("activate", "on-token", *at_fleet),
    ):
        done = run_cli("ca", *command)
        assert done.code == 0, done.stderr


def start_anew() -> None:
    """The module and our sessions with it, as in a new process."""
    pkcs11_keys._sessions.clear()
    pkcs11_keys._wrong_pin.clear()
    pkcs11.lib(str(MODULE)).reinitialize()
