# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The device's whole life through its console, on whatever it runs: a program for Linux, QEMU, or a board.

How to run it where, and what differs: tests/embedded/README.md. Facts about the cloud come from its registry.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_embedded import Dut

from fleetpki.factory.images import NvsKey, nvs_image
from fleetpki.sim.life import bad_pushes, certificate_id
from fleetpki.sim.workshop import Forger
from tests.embedded.events import (
    BACK_ONLINE,
    CERTIFICATE,
    ONLINE,
    await_time,
    device_id_of,
    expect_id,
    expect_unusable_store,
)
from tests.embedded.machines import CutPower, FlashFile
from tests.embedded.outside import Outside

pytestmark = pytest.mark.timeout(900)


def issue(outside: Outside, device_id: str) -> tuple[Path, Path]:
    """A certificate for the device with a key that openssl made."""
    workshop = outside.world.workshop
    key = outside.do(workshop.key(device_id))
    request = outside.do(workshop.request(key, device_id))
    certificate = key.with_suffix(".crt")
    outside.do(outside.cloud.json("issue", device_id, "--csr", request, "--out", certificate))
    return certificate, key


def push(outside: Outside, device_id: str, certificate: Path, key: Path) -> None:
    message = outside.do(outside.world.rotate_message(device_id, certificate, key))
    outside.do(outside.world.push(device_id, message))


def test_enrols_with_the_bootstrap_identity_and_comes_online_with_its_own(
    device: Dut, outside: Outside, device_id: str
) -> None:
    device.expect_exact("connecting: identity=bootstrap")
    issued = expect_id(device, f"enroll: accepted {CERTIFICATE}")
    assert expect_id(device, ONLINE) == issued
    outside.until("activated", lambda: outside.world.active(device_id) == issued)


@pytest.mark.chip
def test_waits_for_an_address_before_it_connects(device: Dut) -> None:
    connected = re.compile(rb"\bconnected: identity=bootstrap")
    device.expect(connected, not_matching=re.compile(rb"disconnected: "))


def test_is_the_same_after_a_restart_and_after_a_power_cut(
    online: tuple[Dut, str], cut_power: CutPower, outside: Outside, device_id: str
) -> None:
    dut, identity = online
    dut.write("restart")
    assert expect_id(dut, ONLINE) == identity
    dut = cut_power(dut)
    assert expect_id(dut, ONLINE) == identity
    assert len(outside.cloud.certificates(device_id)) == 1


def test_the_broker_tells_others_when_it_is_cut_off(
    online: tuple[Dut, str], cut_power: CutPower, outside: Outside, device_id: str
) -> None:
    dut, _ = online
    with outside.observer() as observer:
        observer.subscribe(f"devices/{device_id}/presence")
        cut_power(dut)
        assert observer.receive().json == {"state": "lost"}


def test_rotates_by_csr(online: tuple[Dut, str], outside: Outside, device_id: str) -> None:
    dut, old = online
    rotation = outside.do(outside.cloud.json("rotate", device_id))
    new = expect_id(dut, f"rotation: committed id={rotation['rotation_id']} {CERTIFICATE}")
    assert new == outside.world.active(device_id) != old


def test_takes_an_identity_pushed_by_hand(online: tuple[Dut, str], outside: Outside, device_id: str) -> None:
    dut, _ = online
    certificate, key = issue(outside, device_id)
    push(outside, device_id, certificate, key)
    new = certificate_id(certificate.read_bytes())
    assert expect_id(dut, f"rotation: committed id={new} {CERTIFICATE}") == new
    outside.until("committed", lambda: outside.world.active(device_id) == new)


@pytest.fixture
def forger(outside: Outside) -> Forger:
    """Who signs what the cloud would not."""
    ca = outside.cloud.layout.ca
    return Forger.with_stolen(ca / "issuing.crt", ca / "issuing.key")


@pytest.fixture
def rejected_pushes(forger: Forger, device_id: str) -> dict[str, tuple[str | bytes, str]]:
    """Pushes a device has to reject, and the code of each."""
    return dict(bad_pushes(device_id, forger))


def expect_rejection(
    online: tuple[Dut, str], outside: Outside, device_id: str, pushes: Iterable[tuple[str | bytes, str]]
) -> None:
    dut, identity = online
    for payload, code in pushes:
        outside.do(outside.world.push(device_id, outside.world.workshop.file(device_id, payload)))
        dut.expect_exact(f"rotation: rejected code={code}", not_matching="disconnected:")
    dut.write("status")
    status = f"status: id={device_id} phase=online identity=operational .*{CERTIFICATE}"
    assert expect_id(dut, status) == identity == outside.world.active(device_id)


def test_rejects_bad_pushes_and_stays_who_and_where_it_is(
    online: tuple[Dut, str],
    outside: Outside,
    device_id: str,
    rejected_pushes: dict[str, tuple[str | bytes, str]],
) -> None:
    del rejected_pushes["expired"]
    expect_rejection(online, outside, device_id, rejected_pushes.values())


@pytest.mark.clock
def test_rejects_a_certificate_whose_time_is_over_or_has_not_come(
    online: tuple[Dut, str], outside: Outside, device_id: str, forger: Forger
) -> None:
    def push_of(begin: timedelta, end: timedelta) -> str:
        certificate, key = forger.device(device_id, begin=begin, end=end)
        return json.dumps({"new_certificate": certificate, "new_private_key": key, "chain": forger.chain})

    dut, _ = online
    # Later than all the device has learned from certificates and answers: only a clock tells that it is over.
    end = datetime.now(UTC) + timedelta(seconds=3)
    over = push_of(-timedelta(minutes=1), end - datetime.now(UTC))
    to_come = push_of(timedelta(hours=1), timedelta(days=1))
    await_time(dut, f"later than {end}", lambda now, source: source != "floor" and now > end)
    expect_rejection(online, outside, device_id, [(over, "expired"), (to_come, "not_yet_valid")])


def test_rolls_back_to_the_old_identity_when_the_new_one_is_refused(
    online: tuple[Dut, str], outside: Outside, device_id: str
) -> None:
    dut, old = online
    certificate, key = issue(outside, device_id)
    new = certificate_id(certificate.read_bytes())
    message = outside.do(outside.world.rotate_message(device_id, certificate, key))
    outside.do(outside.cloud.json("revoke", device_id, "--certificate", new))
    outside.do(outside.world.push(device_id, message))
    for _ in range(3):
        dut.expect_exact("disconnected: identity=trial why=refused")
    dut.expect_exact(f"rotation: rolled_back id={new}")
    assert expect_id(dut, BACK_ONLINE) == old == outside.world.active(device_id)


def test_finishes_a_rotation_after_a_power_cut(
    online: tuple[Dut, str], cut_power: CutPower, outside: Outside, device_id: str
) -> None:
    dut, old = online
    outside.do(outside.cloud.ask_to_rotate(device_id))
    dut.expect_exact("rotation: accepted")
    dut = cut_power(dut)
    dut.expect(re.compile(rb"connected: identity=(operational|trial)"))
    outside.until("over", lambda: not outside.cloud.rotation_is_open(device_id))
    assert outside.world.active(device_id) not in (None, old)
    dut.write("restart")
    dut.expect_exact(f"boot: id={device_id}")
    assert expect_id(dut, ONLINE) == outside.world.active(device_id)


def test_backs_off_when_revoked(online: tuple[Dut, str], outside: Outside, device_id: str) -> None:
    dut, _ = online
    outside.do(outside.cloud.json("revoke", device_id))
    settings = outside.device_settings(device_id)
    refused = re.compile(rb"disconnected: identity=operational why=refused retry_ms=(\d+)")
    delays = [int(dut.expect(refused)[1]) for _ in range(6)]
    assert max(delays) >= int(settings["backoff-max-ms"]) / 2 > int(settings["backoff-min-ms"]), (
        "the delay grows"
    )
    dut.expect_exact("enroll: rejected code=revoked")


def test_enrols_anew_after_a_factory_reset_only_when_allowed(
    online: tuple[Dut, str], outside: Outside, device_id: str
) -> None:
    dut, old = online
    dut.write("factory-reset")
    dut.expect_exact("boot:")
    dut.expect_exact("disconnected: identity=bootstrap why=refused")
    outside.do(outside.cloud.json("allow", device_id))
    new = expect_id(dut, f"enroll: accepted {CERTIFICATE}")
    assert expect_id(dut, ONLINE) == new != old


def test_a_request_made_at_the_console_is_good(
    online: tuple[Dut, str], outside: Outside, device_id: str
) -> None:
    dut, _ = online
    for kind in ("ec", "rsa"):
        dut.write(f"csr {kind}")
        dut.expect_exact("-----BEGIN CERTIFICATE REQUEST-----")
        body = dut.expect_exact("-----END CERTIFICATE REQUEST-----", return_what_before_match=True)
        pem = b"-----BEGIN CERTIFICATE REQUEST-----" + body + b"-----END CERTIFICATE REQUEST-----\n"
        subject = outside.do(
            outside.world.runner.check(
                ["openssl", "req", "-verify", "-noout", "-subject", "-nameopt", "RFC2253"], stdin=pem
            )
        )
        assert f"CN={device_id}" in subject


@pytest.mark.chip
@pytest.mark.parametrize("command", ["restart", "factory-reset"])
def test_gives_up_a_key_that_takes_long_when_it_is_told_to_do_something_else(
    online: tuple[Dut, str], device_id: str, command: str
) -> None:
    dut, _ = online
    dut.write("csr rsa")
    dut.expect_exact("making a key: 5 s so far")
    dut.write(command)
    dut.expect_exact("making a key: given up")
    dut.expect_exact(f"boot: id={device_id}")


def test_the_console_says_what_is_wrong(console: Dut) -> None:
    wrong = (
        "config set port 0",
        "config set id a/b",
        "config set colour red",
        "config get colour",
    )
    for line in wrong:
        console.write(line)
        console.expect_exact("error: ")
    console.write("make coffee")
    console.expect(re.compile(rb"error: |Unrecognized command"))  # the latter is esp_console's own


@pytest.mark.flash_file
def test_leaves_a_store_alone_that_it_cannot_read(
    console: Dut, machine: FlashFile, cut_power: CutPower
) -> None:
    device_id_of(console)  # its flash is there
    foreign = nvs_image({"settings": bytes(100)}, len(machine.read_partition("certs")), NvsKey.random())
    dut = cut_power(console, lambda: machine.write_partition("certs", foreign))
    machine.await_console(dut)
    expect_unusable_store(dut, "encrypted")
    assert machine.read_partition("certs") == foreign
