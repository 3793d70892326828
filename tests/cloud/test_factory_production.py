# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A production run, from the order to images that a device could be flashed with."""

import json
import re
from pathlib import Path

import pytest
from esp_secure_cert.tlv_format_construct import EspSecureCert

from fleetpki.config import Layout
from fleetpki.factory.manifest import NAME, Manifest
from fleetpki.fleet import Fleet
from fleetpki.lifecycle.allow_list import allowed_devices
from fleetpki.pki.factory_secret import device_secret
from fleetpki.registry import queries
from fleetpki.registry.database import reading
from fleetpki.registry.models import Role
from tests.cloud.broker_fixtures import Outcome, make_fleet, run_cli

TABLE = """certs,data,nvs,0x9000,0x10000
esp_secure_cert,0x3f,,0xd000,0x2000
nvs_keys,data,nvs_keys,0x19000,0x1000
"""
BATCH = "bootstrap-1"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "partitions.csv").write_text(TABLE)
    return make_fleet(tmp_path)


def make(layout: Layout, *arguments: str) -> Outcome:
    """Run ``fleetpki factory make`` for the fleet."""
    workspace = layout.directory.parent
    fixed: list[str | Path] = [
        "--partition-table",
        workspace / "partitions.csv",
        "--out",
        workspace / "production",
    ]
    return run_cli("factory", "make", *arguments, *fixed, "--dir", layout.directory, "--json")


def files(layout: Layout, device_id: str) -> dict[str, bytes]:
    """What the factory made for a device."""
    folder = layout.directory.parent / "production" / device_id
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def settings_in(store: bytes) -> dict[str, str]:
    """The settings in a plain store image."""
    found = re.search(rb'\{"id":.*?\}', store)
    assert found is not None
    settings: dict[str, str] = json.loads(found[0])
    return settings


def test_numbered_devices_get_a_store_that_tells_them_who_they_are(layout: Layout) -> None:
    outcome = make(layout, "--count", "3", "--prefix", "pump-", "--host", "mqtt.example.com")
    assert outcome.data["devices"] == ["pump-0001", "pump-0002", "pump-0003"]
    settings = Fleet.open(layout.directory).settings
    assert settings_in(files(layout, "pump-0002")["certs.bin"]) == {
        "id": "pump-0002",
        "broker": "mqtt.example.com",
        "port": str(settings.port),
        "bootstrap-port": str(settings.bootstrap_port),
    }


def test_devices_can_have_a_time_server_of_their_own(layout: Layout) -> None:
    make(layout, "--count", "1", "--time-server", "time.example.com")
    assert settings_in(files(layout, "device-0001")["certs.bin"])["time-server"] == "time.example.com"


def test_what_is_made_is_on_the_allow_list(layout: Layout) -> None:
    make(layout, "--count", "2", "--group", "pumps")
    listed = {
        entry.device_id: (entry.batch, entry.group)
        for entry in allowed_devices(Fleet.open(layout.directory).context)
    }
    assert listed == {"device-0001": (BATCH, "pumps"), "device-0002": (BATCH, "pumps")}


def test_a_device_of_a_batch_with_a_secret_gets_its_own(layout: Layout) -> None:
    secret = bytes(range(32))
    path = layout.bootstrap / f"{BATCH}.secret"
    path.write_text(secret.hex())
    path.chmod(0o600)
    make(layout, "--count", "1")
    store = files(layout, "device-0001")["certs.bin"]
    assert device_secret(secret, "device-0001") in store
    assert secret not in store


def test_an_own_bootstrap_certificate_is_registered_and_the_only_one_the_device_may_enrol_with(
    layout: Layout, tmp_path: Path
) -> None:
    make(layout, "--count", "1", "--own-bootstrap")
    image = tmp_path / "image.bin"
    image.write_bytes(files(layout, "device-0001")["esp_secure_cert.bin"])
    anchors, certificate, key = (
        entry["data"] for entry in EspSecureCert._parse_tlv_entries_from_bin(str(image))[:3]
    )
    fleet = Fleet.open(layout.directory)
    (allowed,) = allowed_devices(fleet.context)
    assert allowed.certificate_id is not None
    with reading(fleet.sessions) as session:
        registered = queries.certificate(session, allowed.certificate_id)
    assert registered is not None
    assert (registered.role, registered.batch, registered.common_name) == (
        Role.BOOTSTRAP,
        BATCH,
        "device-0001",
    )
    assert certificate.rstrip(b"\0").decode() == registered.pem
    assert b"EC PRIVATE KEY" in key
    assert anchors.rstrip(b"\0") == (layout.bootstrap / "trust_anchors.pem").read_bytes()


@pytest.mark.parametrize("encryption", ["hmac", "flash"])
def test_an_encrypted_store_shows_no_setting_and_comes_with_its_key(layout: Layout, encryption: str) -> None:
    make(layout, "--count", "1", "--encryption", encryption)
    made = files(layout, "device-0001")
    assert b'"broker"' not in made["certs.bin"]
    assert set(made) == {"certs.bin", "nvs_hmac.key" if encryption == "hmac" else "nvs_keys.bin"}


def test_nobody_else_can_read_what_was_made(layout: Layout) -> None:
    make(layout, "--count", "1", "--encryption", "hmac")
    production = layout.directory.parent / "production"
    assert production.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (production / "device-0001").iterdir())


def test_a_run_that_stopped_goes_on_and_makes_nothing_twice(layout: Layout) -> None:
    make(layout, "--count", "2", "--encryption", "hmac")
    before = files(layout, "device-0002")
    outcome = make(layout, "--count", "4", "--encryption", "hmac")
    assert outcome.code == 0
    assert files(layout, "device-0002") == before
    assert len(Manifest(layout.directory.parent / "production").devices) == 4


def test_a_device_that_was_being_made_when_the_run_was_killed_is_made_again(layout: Layout) -> None:
    make(layout, "--count", "2", "--own-bootstrap")
    manifest = layout.directory.parent / "production" / NAME
    first_line = manifest.read_text().splitlines(keepends=True)[0]
    manifest.write_text(first_line)
    assert make(layout, "--count", "2", "--own-bootstrap").code == 0
    fleet = Fleet.open(layout.directory)
    pinned = {entry.device_id: entry.certificate_id for entry in allowed_devices(fleet.context)}
    with reading(fleet.sessions) as session:
        certificate = queries.certificate(session, str(pinned["device-0002"]))
    assert certificate is not None
    assert str(certificate.pem).encode() in files(layout, "device-0002")["esp_secure_cert.bin"]


def test_the_manifest_holds_no_secret(layout: Layout) -> None:
    make(layout, "--count", "1", "--encryption", "hmac", "--own-bootstrap")
    manifest = (layout.directory.parent / "production" / NAME).read_text()
    assert "PRIVATE" not in manifest
    assert files(layout, "device-0001")["nvs_hmac.key"].hex() not in manifest


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "which devices?"),
        (["--count", "1", "--ids", "ids.txt"], "which devices?"),
        (["--count", "1", "--prefix", "no spaces "], "is no device id"),
        (["--count", "1", "--batch", "nobody"], "no batch nobody"),
    ],
)
def test_a_bad_order_is_refused_and_makes_nothing(
    layout: Layout, arguments: list[str], complaint: str
) -> None:
    outcome = make(layout, *arguments)
    assert outcome.code == 2
    assert complaint in outcome.stderr
    assert not Manifest(layout.directory.parent / "production").devices


def test_a_file_that_names_a_device_twice_is_refused(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("pump-1\npump-2\npump-1\n")
    outcome = make(layout, "--ids", str(tmp_path / "ids.txt"))
    assert outcome.code == 2
    assert "names pump-1 twice" in outcome.stderr


def test_status_tells_how_far_the_run_is(layout: Layout) -> None:
    make(layout, "--count", "2")
    outcome = run_cli("factory", "status", "--out", layout.directory.parent / "production", "--json")
    assert outcome.data["counts"] == {"made": 2, "burning": 0, "flashing": 0, "flashed": 0}
