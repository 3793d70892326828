# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device that has enrolled some time ago: its store, written by docs/identity-store.md."""

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from tests.system.authority import Identity

_FRAME = struct.Struct("<4sH")
_SLOT = struct.Struct("<BBIHHHH")
_COMMIT = struct.Struct("<BBIBBH")
_TIME = struct.Struct("<Hq")
_VERSION = 1
_ENROLMENT = 1
_SOFTWARE_KEY = 0
_GENERATION = 1
_SLOT_A = 1
_NO_SLOT = 0


def write_store(home: Path, identity: Identity, chain_pem: str, settings: Mapping[str, str | int]) -> None:
    """Let the device below ``home`` be enrolled with an identity, in slot A, and have these settings."""
    store = home / "store"
    store.mkdir(parents=True)
    (store / "slot_a").write_bytes(_slot(identity, chain_pem))
    (store / "commit").write_bytes(_framed(b"CMCR", _COMMIT.pack(_SLOT_A, _NO_SLOT, _GENERATION, 0, 0, 0)))
    (store / "settings").write_text(json.dumps({key: str(value) for key, value in settings.items()}))


def read_time_floor(home: Path) -> int | None:
    """The time floor a device has stored, in seconds since 1970."""
    try:
        blob = (home / "store" / "time").read_bytes()
    except FileNotFoundError:
        return None
    _zero, seconds = _TIME.unpack_from(blob, _FRAME.size)
    return int(seconds)


def _slot(identity: Identity, chain_pem: str) -> bytes:
    request_id, key, chain = b"factory", identity.key_der, chain_pem.encode()
    lengths = len(request_id), len(key), len(chain)
    header = _SLOT.pack(_ENROLMENT, _SOFTWARE_KEY, _GENERATION, *lengths, 0)
    return _framed(b"CMID", header + request_id + key + chain)


def _framed(magic: bytes, content: bytes) -> bytes:
    blob = _FRAME.pack(magic, _VERSION) + content
    return blob + struct.pack("<I", zlib.crc32(blob))
