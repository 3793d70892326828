# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The eFuse key block that holds the key of a device's encrypted store. What is burned there stays."""

import io

import espefuse
import esptool

from fleetpki.errors import FleetError

_PURPOSE = "HMAC_UP"
_UNUSED = "USER"
_EMPTY = bytes(32)


class KeyBlock:
    """A key block of the chip that is connected."""

    def __init__(self, chip: esptool.ESPLoader, number: int) -> None:
        """Read the chip's eFuses."""
        self._number = number
        self._commands = espefuse.init_commands(esp=chip, do_not_confirm=True)
        efuses = self._commands.efuses
        try:
            self._block, self._purpose = efuses[f"BLOCK_KEY{number}"], efuses[f"KEY_PURPOSE_{number}"]
        except KeyError:
            self._purpose = None
        if self._purpose is None or _PURPOSE not in self._purpose.KEY_PURPOSES_NAME:
            raise FleetError(
                f"this {chip.CHIP_NAME} has no eFuse block {number} for keys of purpose {_PURPOSE}",
                "make its devices with 'fleetpki factory make --encryption flash'",
                exit_code=2,
            )

    @property
    def sealed(self) -> bool:
        """Whether it holds a key for the HMAC peripheral, which nobody can read or change."""
        protected = not self._block.is_readable() and not self._block.is_writeable()
        return protected and self._purpose.get() == _PURPOSE

    def require_room(self, begun: bytes | None = None) -> None:
        """Refuse a block that cannot take a key and seal it. The key that was begun with may be in it."""
        content = self._block.get_bitstring().bytes[::-1]
        if not self._commands.efuses["RD_DIS"].is_writeable():
            reason = "this chip lets no key be protected any more"
        elif self._purpose.get() != _UNUSED:
            reason = f"it is in use, with purpose {self._purpose.get()}"
        elif not all(field.is_readable() and field.is_writeable() for field in (self._block, self._purpose)):
            reason = "it is protected"
        elif content not in (_EMPTY, begun):
            reason = "it is not empty"
        else:
            return
        raise FleetError(
            f"eFuse block {self._number} cannot take the key: {reason}",
            "choose a free block, or connect another board",
            exit_code=2,
        )

    def burn(self, key: bytes) -> None:
        """Burn and seal the key, for good."""
        self._commands.burn_key([f"BLOCK_KEY{self._number}"], [io.BytesIO(key)], [_PURPOSE])
        if not self.sealed:
            raise FleetError(
                f"eFuse block {self._number} is not protected, although the key was burned into it",
                "do not use this board: software on it may read the key",
                exit_code=4,
            )
