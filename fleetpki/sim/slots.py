# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the identities in a device's store by docs/identity-store.md, as a thief would."""

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from fleetpki.sim.commands import SimError

_HEADER = struct.Struct("<4sHBBIHHHH")
_MAGIC = b"CMID"


@dataclass(frozen=True)
class Slot:
    """One stored identity."""

    generation: int
    chain_pem: bytes
    key_der: bytes = field(repr=False)

    @property
    def certificate_id(self) -> str:
        """The certificate id of the leaf."""
        return x509.load_pem_x509_certificate(self.chain_pem).fingerprint(hashes.SHA256()).hex()

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM."""
        key = serialization.load_der_private_key(self.key_der, password=None)
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def read_slots(home: Path) -> list[Slot]:
    """The complete identities below a state directory."""
    slots = [parse_slot(blob) for blob in _blobs(home)]
    return [slot for slot in slots if slot.chain_pem]


def find_slot(home: Path, certificate_id: str) -> Slot:
    """The stored identity with this certificate."""
    slots = read_slots(home)
    for slot in slots:
        if slot.certificate_id == certificate_id:
            return slot
    raise SimError(f"no identity {certificate_id} in {home}, but {[slot.certificate_id for slot in slots]}")


def parse_slot(blob: bytes) -> Slot:
    """Read one slot; SimError if it is not as documented."""
    magic, version, _origin, _kind, generation, id_len, key_len, chain_len, _zero = _HEADER.unpack_from(blob)
    body = _HEADER.size + id_len
    end = body + key_len + chain_len
    if (magic, version, len(blob)) != (_MAGIC, 1, end + 4) or zlib.crc32(blob[:end]).to_bytes(
        4, "little"
    ) != blob[end:]:
        raise SimError("a slot is not as docs/identity-store.md says")
    return Slot(generation, chain_pem=blob[body + key_len : end], key_der=blob[body : body + key_len])


def _blobs(home: Path) -> list[bytes]:
    contents = [path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()]
    return [content for content in contents if content.startswith(_MAGIC)]
