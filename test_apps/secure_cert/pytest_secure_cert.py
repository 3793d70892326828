# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device that the factory made, with a bootstrap identity of its own: see README.md."""

from pathlib import Path

import pytest
from pytest_embedded import Dut

from tests.embedded.events import CERTIFICATE, ONLINE, expect_id
from tests.embedded.machines import CutPower, Qemu
from tests.embedded.outside import Outside

pytestmark = [pytest.mark.chip, pytest.mark.flash_file, pytest.mark.timeout(900)]

PARTITIONS = Path(__file__).parent / "partitions.csv"


@pytest.fixture
def images(outside: Outside, device_id: str) -> dict[str, bytes]:
    """What the factory makes for the device, by partition."""
    return outside.factory_images(device_id, PARTITIONS, "--own-bootstrap")


def test_enrols_with_the_identity_the_factory_gave_it(
    dut: Dut, machine: Qemu, cut_power: CutPower, outside: Outside, device_id: str, images: dict[str, bytes]
) -> None:
    def flash() -> None:
        for name, image in images.items():
            machine.write_partition(name, image)

    dut = cut_power(dut, flash)
    dut.expect_exact(f"boot: id={device_id}")
    issued = expect_id(dut, f"enroll: accepted {CERTIFICATE}")
    assert expect_id(dut, ONLINE) == issued
    outside.until("activated", lambda: outside.world.active(device_id) == issued)


def test_says_that_there_is_no_identity(dut: Dut) -> None:
    dut.expect_exact("no certificate in the partition esp_secure_cert")
