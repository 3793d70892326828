# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the factory is asked to make."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Encryption(StrEnum):
    """How the device's store is encrypted: its key burned into eFuses, or in a partition of its own."""

    NONE = "none"
    HMAC = "hmac"
    FLASH = "flash"


@dataclass(frozen=True)
class Order:
    """What is to be made."""

    batch: str
    host: str
    encryption: Encryption
    own_bootstrap: bool
    """Whether each device gets a bootstrap certificate of its own, in an ``esp_secure_cert`` partition."""
    partition_table: Path
    batch_secret: bytes | None = field(repr=False)
    """From which each device's factory secret is derived; none when the batch asks for no proof."""
    group: str | None = None
    time_server: str | None = None
    """Whom the devices ask for the time; none: the firmware knows."""
