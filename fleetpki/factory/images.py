# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Flash images, made in memory with Espressif's own generators: no secret touches a disk on the way."""

import contextlib
import hashlib
import hmac
import io
import secrets
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from esp_idf_nvs_partition_gen import nvs_partition_gen as nvs
from esp_secure_cert.tlv_format import tlv_type_t
from esp_secure_cert.tlv_format_construct import TlvPartitionBuilder

from fleetpki.errors import FleetError

_PAGE = 4096
_NAMESPACE = "cert_mgmt"

# ESP-IDF derives both halves of an NVS key from the eFuse key: nvs_sec_provider, NVS_HMAC_*_SEED.
_ENCRYPTION_SEED = b"\x5a\x5a\xbe\xae" * 8
_TWEAK_SEED = b"\xa5\xa5\xde\xce" * 8


@dataclass(frozen=True)
class NvsKey:
    """The AES-XTS key an NVS partition is encrypted with: 32 bytes for the data, 32 for the tweak."""

    key: bytes

    @classmethod
    def random(cls) -> "NvsKey":
        """For the flash-encryption scheme, where the key lies in a partition of its own."""
        return cls(secrets.token_bytes(64))

    @classmethod
    def from_hmac_key(cls, efuse_key: bytes) -> "NvsKey":
        """For the HMAC scheme, where the chip derives it from a key burned into eFuses."""
        halves = (hmac.digest(efuse_key, seed, hashlib.sha256) for seed in (_ENCRYPTION_SEED, _TWEAK_SEED))
        return cls(b"".join(halves))

    def partition_image(self) -> bytes:
        """What the ``nvs_keys`` partition holds: the key and its CRC."""
        crc = zlib.crc32(self.key, 0xFFFFFFFF)
        return (self.key + struct.pack("<I", crc)).ljust(_PAGE, b"\xff")


def nvs_image(values: Mapping[str, bytes], size: int, key: NvsKey | None = None) -> bytes:
    """An NVS partition with the values the device finds in its store, encrypted when there is a key."""
    image = io.BytesIO()
    try:
        with nvs.nvs_open(
            image, size - _PAGE, nvs.Page.VERSION2, is_encrypt=key is not None, key=key.key if key else None
        ) as partition:
            nvs.write_entry(partition, _NAMESPACE, "namespace", "", "")
            for name, value in values.items():
                nvs.write_entry(partition, name, "data", "hex2bin", value.hex())
    except nvs.InsufficientSizeError as error:
        raise FleetError(f"the NVS partition of {size} bytes is too small", exit_code=2) from error
    return image.getvalue()


def secure_cert_image(certificate_pem: str, private_key_pem: bytes, anchors_pem: str) -> bytes:
    """An ``esp_secure_cert`` partition: the bootstrap identity, and what the server is trusted by."""
    builder = TlvPartitionBuilder()
    entries = (
        (tlv_type_t.ESP_SECURE_CERT_CA_CERT_TLV, anchors_pem.encode()),
        (tlv_type_t.ESP_SECURE_CERT_DEV_CERT_TLV, certificate_pem.encode()),
        (tlv_type_t.ESP_SECURE_CERT_PRIV_KEY_TLV, private_key_pem),
    )
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
            for kind, pem in entries:
                builder.add_tlv_entry(kind, 0, pem + b"\0", 0)
            builder.add_integrity_tlv()
    except ValueError as error:
        raise FleetError("certificates and key do not fit into an esp_secure_cert partition") from error
    return bytes(builder.partition_data)
