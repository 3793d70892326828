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
_ENROLMENT, _ROTATION = 1, 2
_SOFTWARE_KEY = 0
_NO_SLOT, _SLOT_A, _SLOT_B = 0, 1, 2


def write_store(
    home: Path,
    identity: Identity,
    settings: Mapping[str, str | int],
    *,
    issuers_pem: str = "",
    trial: Identity | None = None,
) -> None:
    """Let the device below ``home`` have enrolled, perhaps have an identity on trial, and these settings."""
    store = home / "store"
    store.mkdir(parents=True)
    (store / "slot_a").write_bytes(_slot(_ENROLMENT, 1, identity, issuers_pem))
    if trial is not None:
        (store / "slot_b").write_bytes(_slot(_ROTATION, 2, trial, issuers_pem))
    trial_slot = _NO_SLOT if trial is None else _SLOT_B
    (store / "commit").write_bytes(_framed(b"CMCR", _COMMIT.pack(_SLOT_A, trial_slot, 1, 0, 0, 0)))
    (store / "settings").write_text(json.dumps({key: str(value) for key, value in settings.items()}))


def read_time_floor(home: Path) -> int | None:
    """The time floor a device has stored, in seconds since 1970."""
    try:
        blob = (home / "store" / "time").read_bytes()
    except FileNotFoundError:
        return None
    _zero, seconds = _TIME.unpack_from(blob, _FRAME.size)
    return int(seconds)


def _slot(origin: int, generation: int, identity: Identity, issuers_pem: str) -> bytes:
    request_id, key, chain = b"request", identity.key_der, (identity.pem + issuers_pem).encode()
    lengths = len(request_id), len(key), len(chain)
    header = _SLOT.pack(origin, _SOFTWARE_KEY, generation, *lengths, 0)
    return _framed(b"CMID", header + request_id + key + chain)


def _framed(magic: bytes, content: bytes) -> bytes:
    blob = _FRAME.pack(magic, _VERSION) + content
    return blob + struct.pack("<I", zlib.crc32(blob))
