# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet on disk: making a new one, opening an existing one."""

import shutil
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path

from sqlalchemy.exc import OperationalError

from fleetpki import files
from fleetpki.config import LOOPBACK_NAMES, Layout, Settings, load_settings
from fleetpki.errors import FleetError
from fleetpki.hooks import admission_hooks
from fleetpki.lifecycle import Context, Policy, register_hierarchy, utc_now
from fleetpki.lifecycle.batches import check_batch_name
from fleetpki.lifecycle.revocation_lists import install_list
from fleetpki.mqtt.bus import Bus
from fleetpki.pki.factory_secret import SECRET_SIZE
from fleetpki.pki.hierarchy import BOOTSTRAP_CA, ISSUING, ROOT, Credential, Hierarchy, make_hierarchy
from fleetpki.pki.key_store import KeyStore
from fleetpki.pki.keyring import KeyRing
from fleetpki.pki.root import Root, RootSettings, write_root
from fleetpki.pki.roots import check_passphrase
from fleetpki.registry.database import (
    Database,
    Sessions,
    connect,
    engine_of,
    finish,
    new_registry,
    open_registry,
    require_schema,
)

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
        return open_registry(self.database)

    @property
    def database(self) -> Database:
        """Where the registry is."""
        return _database(self.layout, self.settings)

    @cached_property
    def context(self) -> Context:
        """What the rules of the life cycle work with."""
        return _context(self.layout, self.settings, self.sessions)

    def check_registry(self) -> None:
        """FleetError when the registry cannot be used, or is of another version; leaves nothing open."""
        engine = connect(self.database)
        try:
            require_schema(engine)
        finally:
            engine.dispose()

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
    check_passphrase(passphrase)
    check_batch_name(bootstrap_name)
    if not 1 <= len(bootstrap_name) <= MAX_COMMON_NAME:
        raise FleetError(
            f"the bootstrap name has {len(bootstrap_name)} characters",
            f"use 1 to {MAX_COMMON_NAME}",
            exit_code=2,
        )
    for path in (directory, root_directory):
        files.check_absent(path)
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
    with (
        files.staging(root_directory) as root_stage,
        files.staging(directory) as stage,
        new_registry(_database(Layout(stage), settings)) as sessions,
    ):
        root_list = _write_root(root_stage, hierarchy, passphrase, settings)
        _write_files(Layout(stage), hierarchy, settings)
        context = _context(Layout(stage), settings, sessions)
        register_hierarchy(context, hierarchy)
        install_list(context, root_list)
        finish(sessions)
        engine_of(sessions).dispose()
        root_stage.rename(root_directory)
        try:
            stage.rename(directory)
        except OSError:
            shutil.rmtree(root_directory)
            raise
        files.sync_directory(directory.parent)
        files.sync_directory(root_directory.parent)


def _write_root(stage: Path, hierarchy: Hierarchy, passphrase: bytes, settings: Settings) -> bytes:
    """Write the root; returns its first revocation list."""
    certificate, now = hierarchy.root.certificate, utc_now()
    files.write(stage / "root.key", hierarchy.root.key_pem(passphrase), mode=0o600)
    write_root(stage, RootSettings(ROOT, settings.public_url, "file:root.key"), certificate, now)
    root = Root(stage, certificate, hierarchy.root.key)
    root.adopt(hierarchy.issuing.certificate, now)
    return root.revocation_list(now)


def _write_files(layout: Layout, hierarchy: Hierarchy, settings: Settings) -> None:
    passphrase = _key_store(layout, settings).passphrase()
    parts = (layout.ca, layout.broker, layout.services, layout.bootstrap, layout.run)
    for part in parts:
        part.mkdir(mode=0o700)
    files.write(layout.settings, settings.to_toml(), mode=0o600)
    files.write(layout.ca / "root.crt", hierarchy.root.certificate_pem, mode=0o644)
    files.write(layout.bootstrap / "trust_anchors.pem", hierarchy.root.certificate_pem, mode=0o644)
    _write_credential(layout.ca / ISSUING, hierarchy.issuing, passphrase)
    _write_credential(layout.ca / BOOTSTRAP_CA, hierarchy.bootstrap_ca, passphrase)
    _write_credential(layout.broker / "broker", hierarchy.broker)
    _write_credential(layout.services / "service", hierarchy.service)
    _write_credential(layout.services / "operator", hierarchy.operator)
    _write_credential(layout.bootstrap / "bootstrap", hierarchy.bootstrap)
    for part in (*parts, layout.directory):
        files.sync_directory(part)


def _write_credential(base: Path, credential: Credential, passphrase: bytes | None = None) -> None:
    files.write(base.with_name(base.name + ".crt"), credential.full_chain_pem, mode=0o644)
    files.write(base.with_name(base.name + ".key"), credential.key_pem(passphrase), mode=0o600)


def _context(layout: Layout, settings: Settings, sessions: Sessions) -> Context:
    policy = Policy(
        device_validity=timedelta(days=settings.device_validity_days),
        activation_window=timedelta(seconds=settings.activation_window_s),
        superseded_grace=timedelta(seconds=settings.superseded_grace_s),
        public_url=settings.public_url,
        alert_channels=settings.alerts.channels,
    )
    return Context(
        sessions,
        KeyRing(_key_store(layout, settings)),
        policy,
        batch_secret=partial(_batch_secret, layout.bootstrap),
        hooks=admission_hooks(settings.admission_url),
    )


def _database(layout: Layout, settings: Settings) -> Database:
    return settings.database_url or layout.registry


def _batch_secret(folder: Path, batch: str) -> bytes | None:
    """The secret the devices' factory secrets of a batch are derived from."""
    check_batch_name(batch)
    path = folder / f"{batch}.secret"
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except ValueError:
        secret = b""
    if len(secret) != SECRET_SIZE:
        raise FleetError(f"{path} is not {2 * SECRET_SIZE} hexadecimal digits", "restore it from a backup")
    return secret


def _key_store(layout: Layout, settings: Settings) -> KeyStore:
    return KeyStore(
        layout.directory, settings.ca_passphrase_file, settings.pkcs11_module, settings.pkcs11_pin_file
    )
