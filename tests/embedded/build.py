# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What ESP-IDF's build system left in a build directory."""

import json
import struct
from pathlib import Path
from typing import Any

#: An entry of a partition table: magic, type, subtype, offset, size, name, flags.
PARTITION = struct.Struct("<2sBBII16sI")
PARTITION_MAGIC = b"\xaa\x50"

UNITS = {"KB": 1 << 10, "MB": 1 << 20}


class Build:
    """A built app."""

    def __init__(self, app_path: Path, build_dir: Path) -> None:
        """Find the build where pytest-embedded does: below the app, or else where the path says."""
        self.app_path = app_path
        below = app_path / build_dir
        self.directory = below if below.is_dir() else build_dir

    @property
    def bootstrap_dir(self) -> Path | None:
        """The folder the firmware's bootstrap identity was taken from."""
        setting = self.setting("CERT_APP_BOOTSTRAP_DIR")
        return self.app_path / setting if setting else None

    def setting(self, name: str) -> Any:
        """What menuconfig says; None: the build does not know the symbol."""
        return self._json("config/sdkconfig.json").get(name)

    def flash_image(self) -> bytes:
        """The content of a flash chip this build has been flashed to."""
        flash = self._json("flasher_args.json")
        size: str = flash["flash_settings"]["flash_size"]
        image = bytearray(b"\xff" * (int(size[:-2]) * UNITS[size[-2:]]))
        for offset, name in flash["flash_files"].items():
            content = (self.directory / name).read_bytes()
            image[int(offset, 0) : int(offset, 0) + len(content)] = content
        return bytes(image)

    @property
    def has_partitions(self) -> bool:
        """Whether the app has a flash; the plain Linux build has none."""
        return self._partition_table.is_file()

    def partition(self, name: str) -> tuple[int, int]:
        """Offset and size of a partition."""
        table = self._partition_table.read_bytes()
        for entry in PARTITION.iter_unpack(table):
            magic, _, _, offset, size, label, _ = entry
            if magic == PARTITION_MAGIC and label.rstrip(b"\0") == name.encode():
                return offset, size
        raise LookupError(f"{self.directory} has no partition {name}")

    @property
    def _partition_table(self) -> Path:
        return self.directory / "partition_table/partition-table.bin"

    def _json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.directory / name).read_bytes())
        return content
