# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet on disk: making a new one, opening an existing one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from sqlalchemy.exc import OperationalError

from fleetpki.config import LOOPBACK_NAMES, Layout, Settings, load_settings
from fleetpki.errors import FleetError
from fleetpki.lifecycle import Context, Policy, register_hierarchy, utc_now
from fleetpki.mqtt.bus import Bus
from fleetpki.pki import key_files
from fleetpki.pki.hierarchy import Credential, Hierarchy, make_hierarchy
from fleetpki.pki.keyring import KeyRing
from fleetpki.pki.keys import PrivateKey
from fleetpki.registry.database import Sessions, create_registry, open_registry

MIN_PASSPHRASE = 12
MAX_COMMON_NAME = 64


@dataclass(frozen=True)
class Fleet:
    """An existing fleet."""

    layout: Layout
    settings: Settings

    @classmethod
    def open(cls, directory: Path) -> "Fleet":
        """Open the fleet in a directory."""
        layout = Layout(directory.absolute())
        return cls(layout, load_settings(layout))

    @cached_property
    def sessions(self) -> Sessions:
        """The registry, to read from."""
        return open_registry(self.layout.registry)

    @cached_property
    def context(self) -> Context:
        """What the rules of the life cycle work with."""
        return _context(self.layout, self.settings, self.sessions)

    def service_bus(self) -> Bus:
        """The broker, as our services see it."""
        return self._bus("service")

    def operator_bus(self) -> Bus:
        """The broker, as the operator sees it."""
        return self._bus("operator")

    def _bus(self, name: str) -> Bus:
        services = self.layout.services
        return Bus(
            host=LOOPBACK_NAMES[1],
            port=self.settings.service_port,
            anchors=self.layout.ca / "root.crt",
            certificate=services / f"{name}.crt",
            key=services / f"{name}.key",
        )


def create(
    directory: Path,
    root_directory: Path,
    passphrase: bytes,
    settings: Settings,
    bootstrap_name: str = "bootstrap-1",
) -> None:
    """Make a new fleet and its root. Both directories appear complete, or not at all."""
    directory, root_directory = directory.absolute(), root_directory.absolute()
    _check_passphrase(passphrase)
    if not 1 <= len(bootstrap_name) <= MAX_COMMON_NAME:
        raise FleetError(
            f"the bootstrap name has {len(bootstrap_name)} characters",
            f"use 1 to {MAX_COMMON_NAME}",
            exit_code=2,
        )
    for path in (directory, root_directory):
        _check_absent(path)
    hierarchy = make_hierarchy(
        hosts=settings.hosts, now=utc_now(), bootstrap_name=bootstrap_name, public_url=settings.public_url
    )
    try:
        _write_both(directory, root_directory, passphrase, hierarchy, settings)
    except (OSError, OperationalError) as error:
        reason = (error.strerror if isinstance(error, OSError) else str(error.orig)) or str(error)
        raise FleetError(
            f"cannot make the fleet {directory} with the root {root_directory}: {reason}",
            "nothing was left behind; check space and permissions, then try again",
            exit_code=4,
        ) from error


def _write_both(
    directory: Path, root_directory: Path, passphrase: bytes, hierarchy: Hierarchy, settings: Settings
) -> None:
    with _staging(root_directory) as root_stage, _staging(directory) as stage:
        _write_root(root_stage, hierarchy.root, passphrase)
        _write_fleet(Layout(stage), hierarchy, settings)
        root_stage.rename(root_directory)
        try:
            stage.rename(directory)
        except OSError:
            shutil.rmtree(root_directory)
            raise
        _sync_directory(directory.parent)
        _sync_directory(root_directory.parent)


def _check_passphrase(passphrase: bytes) -> None:
    if len(passphrase) < MIN_PASSPHRASE or len(set(passphrase)) < 5:
        raise FleetError(
            "the passphrase for the root key is too weak",
            f"use at least {MIN_PASSPHRASE} characters, not all alike",
            exit_code=2,
        )


def _check_absent(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise FleetError(
            f"{path} exists already and was left as it is",
            "choose another directory; to start over, move this one away yourself",
            exit_code=2,
        )
    if not path.parent.is_dir():
        raise FleetError(f"{path.parent} is not a directory", "make it first", exit_code=2)


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A temporary directory beside the target, removed unless it was renamed."""
    stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _write_root(stage: Path, root: Credential, passphrase: bytes) -> None:
    _write(stage / "root.crt", root.certificate_pem, mode=0o644)
    _write(stage / "root.key", root.key_pem(passphrase), mode=0o600)
    _sync_directory(stage)


def _write_fleet(layout: Layout, hierarchy: Hierarchy, settings: Settings) -> None:
    parts = (layout.ca, layout.broker, layout.services, layout.bootstrap, layout.run)
    for part in parts:
        part.mkdir(mode=0o700)
    _write(layout.settings, settings.to_toml(), mode=0o600)
    _write(layout.ca / "root.crt", hierarchy.root.certificate_pem, mode=0o644)
    _write(layout.bootstrap / "trust_anchors.pem", hierarchy.root.certificate_pem, mode=0o644)
    _write_credential(layout.ca / "issuing", hierarchy.issuing, hierarchy.issuing.certificate_pem)
    _write_credential(
        layout.ca / "bootstrap-ca", hierarchy.bootstrap_ca, hierarchy.bootstrap_ca.certificate_pem
    )
    _write_credential(layout.broker / "broker", hierarchy.broker, hierarchy.broker.full_chain_pem)
    _write_credential(layout.services / "service", hierarchy.service, hierarchy.service.full_chain_pem)
    _write_credential(layout.services / "operator", hierarchy.operator, hierarchy.operator.full_chain_pem)
    _write_credential(layout.bootstrap / "bootstrap", hierarchy.bootstrap, hierarchy.bootstrap.full_chain_pem)
    sessions = create_registry(layout.registry)
    register_hierarchy(_context(layout, settings, sessions), hierarchy)
    sessions.kw["bind"].dispose()
    for part in (*parts, layout.directory):
        _sync_directory(part)


def _write_credential(base: Path, credential: Credential, certificates_pem: str) -> None:
    _write(base.with_name(base.name + ".crt"), certificates_pem, mode=0o644)
    _write(base.with_name(base.name + ".key"), credential.key_pem(), mode=0o600)


def _write(path: Path, content: str | bytes, mode: int) -> None:
    data = content.encode() if isinstance(content, str) else content
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _context(layout: Layout, settings: Settings, sessions: Sessions) -> Context:
    policy = Policy(
        device_validity=timedelta(days=settings.device_validity_days),
        activation_window=timedelta(seconds=settings.activation_window_s),
        superseded_grace=timedelta(seconds=settings.superseded_grace_s),
        public_url=settings.public_url,
    )

    def open_key(uri: str) -> PrivateKey:
        return key_files.load(layout.directory / uri.removeprefix(key_files.SCHEME), passphrase=None)

    return Context(sessions, KeyRing(open_key), policy)
