# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the devices of a batch: allow-list, bootstrap certificate, flash images, manifest.

A private key or secret made here exists in memory while its device is made, and then only in that device's
image, until that is flashed.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from fleetpki import files
from fleetpki.errors import FleetError
from fleetpki.factory import partitions
from fleetpki.factory.images import NvsKey, nvs_image, secure_cert_image
from fleetpki.factory.manifest import Entry, Image, Manifest, Step
from fleetpki.factory.order import Encryption, Order
from fleetpki.fleet import Fleet
from fleetpki.lifecycle.allow_list import AllowedEntry, allow_devices
from fleetpki.lifecycle.own_certificates import certify_bootstrap
from fleetpki.pki import keys
from fleetpki.pki.factory_secret import device_secret
from fleetpki.pki.identifiers import is_device_id
from fleetpki.pki.keys import KeyType

File = tuple[str, int, bytes]
"""Name, offset in the flash, content."""


class Line:
    """A production line: makes one device after the other into a directory only its owner can read."""

    def __init__(self, fleet: Fleet, order: Order, directory: Path, *, actor: str) -> None:
        """Open a directory, new or of a run that stopped."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        self.manifest = Manifest(directory)
        self._fleet = fleet
        self._order = order
        self._directory = directory
        self._actor = actor
        table = partitions.read_partitions(order.partition_table)
        self._certs = partitions.require(table, partitions.CERTS, order.partition_table)
        self._nvs_keys = self._secure_cert = None
        if order.encryption == Encryption.FLASH:
            self._nvs_keys = partitions.require(table, partitions.NVS_KEYS, order.partition_table)
        if order.own_bootstrap:
            self._secure_cert = partitions.require(table, partitions.SECURE_CERT, order.partition_table)

    def make(self, device_ids: Sequence[str]) -> Iterator[str]:
        """Make each device that is not made yet, and name it when it is."""
        unfit = next((device_id for device_id in device_ids if not is_device_id(device_id)), None)
        if unfit is not None:
            raise FleetError(f"{unfit!r} is no device id", "3 to 64 of A-Z a-z 0-9 _ -", exit_code=2)
        for device_id in device_ids:
            if device_id not in self.manifest.devices:
                self._make(device_id)
            yield device_id

    def _make(self, device_id: str) -> None:
        """The registry first: a device that was flashed must never be unknown to it."""
        made: list[File] = []
        bootstrap_id = None
        if self._secure_cert is not None:
            bootstrap_id, image = self._own_bootstrap(device_id)
            made.append(("esp_secure_cert.bin", self._secure_cert.offset, image))
        allowed = AllowedEntry(
            device_id=device_id,
            batch=self._order.batch,
            group=self._order.group,
            tags={},
            certificate_id=bootstrap_id,
        )
        allow_devices(self._fleet.context, [allowed], actor=self._actor)
        efuse_key = secrets.token_bytes(32) if self._order.encryption == Encryption.HMAC else None
        key = NvsKey.from_hmac_key(efuse_key) if efuse_key else None
        if self._nvs_keys is not None:
            key = NvsKey.random()
            made.append(("nvs_keys.bin", self._nvs_keys.offset, key.partition_image()))
        store = nvs_image(self._values(device_id), self._certs.size, key)
        made.append(("certs.bin", self._certs.offset, store))
        self._write(device_id, made, efuse_key)

    def _values(self, device_id: str) -> dict[str, bytes]:
        settings = self._fleet.settings
        configuration = {
            "id": device_id,
            "broker": self._order.host,
            "port": str(settings.port),
            "bootstrap-port": str(settings.bootstrap_port),
        }
        if self._order.time_server is not None:
            configuration["time-server"] = self._order.time_server
        values = {"settings": json.dumps(configuration, separators=(",", ":")).encode()}
        if self._order.batch_secret is not None:
            values["factory_secret"] = device_secret(self._order.batch_secret, device_id)
        return values

    def _own_bootstrap(self, device_id: str) -> tuple[str, bytes]:
        key = keys.generate(KeyType.EC_P256)
        certificate = certify_bootstrap(
            self._fleet.context,
            common_name=device_id,
            public_key=key.public_key(),
            batch=self._order.batch,
            actor=self._actor,
        )
        key_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        anchors = (self._fleet.layout.bootstrap / "trust_anchors.pem").read_text()
        return certificate.signed_id, secure_cert_image(certificate.signed_pem, key_pem, anchors)

    def _write(self, device_id: str, made: Sequence[File], efuse_key: bytes | None) -> None:
        folder = self._directory / device_id
        folder.mkdir(mode=0o700, exist_ok=True)
        images = [
            Image(file=f"{device_id}/{name}", offset=offset, sha256=hashlib.sha256(content).hexdigest())
            for name, offset, content in made
        ]
        for name, _, content in made:
            _write(folder / name, content)
        if efuse_key is not None:
            _write(folder / "nvs_hmac.key", efuse_key)
        self.manifest.append(
            Entry(
                device_id=device_id,
                step=Step.MADE,
                at=datetime.now(UTC),
                images=images,
                efuse_key=f"{device_id}/nvs_hmac.key" if efuse_key else None,
            )
        )


def _write(path: Path, content: bytes) -> None:
    """Write a file only we can read; one that a killed run left half written is replaced."""
    path.unlink(missing_ok=True)
    files.write(path, content, mode=0o600)
