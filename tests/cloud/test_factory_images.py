# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The images Espressif's generators make for a device."""

import subprocess
import sys
from pathlib import Path

import pytest
from esp_secure_cert.tlv_format_construct import EspSecureCert

from fleetpki.errors import FleetError
from fleetpki.factory.images import NvsKey, nvs_image, secure_cert_image
from fleetpki.factory.partitions import CERTS, Partition, read_partitions, require

ROOT = Path(__file__).parents[2]
SECRET = bytes(range(32))
VALUES = {"settings": b'{"id":"sensor-1"}', "factory_secret": SECRET}
SIZE = 0x10000


def test_a_plain_store_holds_the_values_and_fills_the_partition() -> None:
    image = nvs_image(VALUES, SIZE)
    assert len(image) == SIZE
    assert VALUES["settings"] in image
    assert SECRET in image


def test_an_encrypted_store_shows_nothing_and_decrypts_to_the_plain_one(tmp_path: Path) -> None:
    key = NvsKey.random()
    encrypted = nvs_image(VALUES, SIZE, key)
    assert VALUES["settings"] not in encrypted
    assert SECRET not in encrypted
    (tmp_path / "image.bin").write_bytes(encrypted)
    (tmp_path / "key.bin").write_bytes(key.partition_image())
    _generator("decrypt", tmp_path / "image.bin", tmp_path / "key.bin", "plain.bin", "--outdir", tmp_path)
    assert (tmp_path / "plain.bin").read_bytes() == nvs_image(VALUES, SIZE)


def test_two_stores_never_share_a_key() -> None:
    assert NvsKey.random().key != NvsKey.random().key


def test_the_hmac_scheme_derives_the_key_espressifs_tool_derives(tmp_path: Path) -> None:
    (tmp_path / "efuse.bin").write_bytes(SECRET)
    _generator(
        "generate-key",
        "--key_protect_hmac",
        "--kp_hmac_inputkey",
        tmp_path / "efuse.bin",
        "--keyfile",
        "key.bin",
        "--outdir",
        tmp_path,
    )
    assert NvsKey.from_hmac_key(SECRET).partition_image() == (tmp_path / "keys" / "key.bin").read_bytes()


def test_a_store_too_small_for_its_values_is_refused() -> None:
    with pytest.raises(FleetError, match="too small"):
        nvs_image({f"value_{number}": bytes(3000) for number in range(4)}, 0x3000)


def test_a_secure_cert_partition_is_read_back_by_espressifs_tool(tmp_path: Path) -> None:
    image = secure_cert_image("certificate", b"private key", "anchors")
    (tmp_path / "image.bin").write_bytes(image)
    assert len(image) == 0x2000
    entries = EspSecureCert._parse_tlv_entries_from_bin(str(tmp_path / "image.bin"))
    assert [entry["data"].rstrip(b"\0") for entry in entries[:3]] == [
        b"anchors",
        b"certificate",
        b"private key",
    ]


def test_the_projects_partition_table_names_the_device_store() -> None:
    table = ROOT / "partitions.csv"
    assert require(read_partitions(table), CERTS, table) == Partition(CERTS, 0x9000, 0x10000)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("certs, data, nvs, , 0x10000", "offset: '' is not a number"),
        ("certs, data, nvs, 0x9000, many", "size: 'many' is not a number"),
        ("certs, data", "expected name, type, subtype, offset, size"),
    ],
)
def test_a_strange_partition_table_is_refused_with_its_line(
    tmp_path: Path, line: str, complaint: str
) -> None:
    table = tmp_path / "partitions.csv"
    table.write_text(f"# a comment\n{line}\n")
    with pytest.raises(FleetError, match=f"line 2.*{complaint}"):
        require(read_partitions(table), CERTS, table)


def test_sizes_may_have_units(tmp_path: Path) -> None:
    table = tmp_path / "partitions.csv"
    table.write_text("certs, data, nvs, 36K, 1M\n")
    assert require(read_partitions(table), CERTS, table) == Partition(CERTS, 36 * 1024, 1024 * 1024)


def test_offsets_that_are_not_needed_may_be_left_to_esp_idf(tmp_path: Path) -> None:
    table = tmp_path / "partitions.csv"
    table.write_text(
        "certs, data, nvs, 0x9000, 0x10000\nphy_init, data, phy, , 0x1000\nfactory, app, factory, , 1M\n"
    )
    assert require(read_partitions(table), CERTS, table).offset == 0x9000


def _generator(*arguments: str | Path) -> None:
    command: list[str | Path] = [sys.executable, "-m", "esp_idf_nvs_partition_gen", *arguments]
    subprocess.run(command, check=True, capture_output=True)
