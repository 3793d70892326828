# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A device's life over a real broker: enrolment, rotation, push, revocation."""

import json
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fleetpki.mqtt import topics
from fleetpki.pki.keys import PrivateKey
from tests.cloud.broker_fixtures import (
    NOT_AUTHORISED,
    PATIENCE_S,
    Device,
    Identity,
    RunningFleet,
    await_,
    live,
    make_fleet,
    ready_line,
    run_cli,
    start_up,
)
from tests.cloud.doubles import make_csr, new_key

__all__ = ["live"]


def certify(device: Device, rotation_id: str, key: PrivateKey) -> None:
    """Answer a rotate command with a new key, and adopt the certificate that comes back."""
    device.online.publish(
        topics.certs(device.device_id, "csr"), {"rotation_id": rotation_id, "csr": device.csr(key)}
    )
    issued = device.online.receive()
    assert issued.topic == topics.certs(device.device_id, "issued"), issued
    assert issued.json["rotation_id"] == rotation_id
    device.adopt(issued.json["certificate"], issued.json["chain"], key)


def prove(device: Device, rotation_id: str) -> None:
    """Connect with the new certificate, hear the commit, confirm it."""
    with device.connect():
        device.listen()
        device.report("connected", rotation_id)
        commit = device.online.receive()
        assert commit.topic == topics.certs(device.device_id, "commit")
        assert commit.json == {"rotation_id": rotation_id, "certificate_id": device.me.certificate_id}
        device.report("committed", rotation_id)
        device.await_active()


def test_enrolment_gives_a_certificate_that_the_first_connection_activates(live: RunningFleet) -> None:
    device = live.enrolled("life-newborn")
    record = device.record()
    assert record["state"] == "active"
    assert [c["state"] for c in record["certificates"]] == ["active"]


def test_enrolling_twice_with_the_same_request_gives_the_same_certificate(live: RunningFleet) -> None:
    device = Device(live, "life-twice")
    assert device.enroll()["certificate_id"] == device.enroll()["certificate_id"]


def test_an_enrolment_that_is_refused_says_why(live: RunningFleet) -> None:
    request = {"request_id": "r-1", "csr": make_csr(new_key(), "somebody-else")}
    with live.bootstrap_peer("life-liar") as peer:
        peer.subscribe("bootstrap/life-liar/enroll/#")
        peer.publish("bootstrap/life-liar/enroll", request)
        answer = peer.receive()
    assert answer.topic == "bootstrap/life-liar/enroll/rejected"
    assert (answer.json["request_id"], answer.json["code"]) == ("r-1", "wrong_subject")


def test_an_enrolment_that_is_no_message_is_answered(live: RunningFleet) -> None:
    with live.bootstrap_peer("life-garbled") as peer:
        peer.subscribe("bootstrap/life-garbled/enroll/#")
        peer.publish("bootstrap/life-garbled/enroll", b'{"request_id": "r-1", "csr": 5}')
        assert peer.receive().json == {
            "request_id": "r-1",
            "code": "bad_message",
            "message": "csr: Input should be a valid string",
        }


def test_a_rotation_by_csr_ends_with_the_old_certificate_refused(live: RunningFleet) -> None:
    device = live.enrolled("life-rotating")
    before = device.me
    with device.connect():
        device.listen()
        assert live.cli("rotate", "life-rotating", "--no-wait").data["state"] == "requested"
        rotate = device.online.receive().json
        assert (rotate["mode"], rotate["key"]) == ("csr", "ec-p256")
        device.report("accepted", rotate["rotation_id"])
        certify(device, rotate["rotation_id"], new_key())
        device.report("staged", rotate["rotation_id"])
    prove(device, rotate["rotation_id"])
    record = device.record()
    assert [r["state"] for r in record["rotations"]] == ["committed"]
    assert [c["state"] for c in record["certificates"]] == ["superseded", "active"]
    answer = live.device_peer(before, "life-rotating").try_connect()
    assert answer is not None
    assert answer.value == NOT_AUTHORISED


def test_claiming_the_new_certificate_over_the_old_connection_commits_nothing(live: RunningFleet) -> None:
    device = live.enrolled("life-claiming")
    with device.connect() as old_connection:
        device.listen()
        live.cli("rotate", "life-claiming", "--no-wait")
        rotation_id = old_connection.receive().json["rotation_id"]
        certify(device, rotation_id, new_key())
        device.report("staged", rotation_id)
        device.report("connected", rotation_id)
        device.report("committed", rotation_id)
        await_(lambda: device.record()["rotations"][0]["state"] == "staged")
        assert [c["state"] for c in device.record()["certificates"]] == ["active", "issued"]


def test_a_bad_request_for_a_certificate_is_refused_on_the_rejected_topic(live: RunningFleet) -> None:
    device = live.enrolled("life-badcsr")
    with device.connect() as peer:
        device.listen()
        live.cli("rotate", "life-badcsr", "--no-wait")
        rotation_id = peer.receive().json["rotation_id"]
        peer.publish(topics.certs("life-badcsr", "csr"), {"rotation_id": rotation_id, "csr": "nonsense"})
        answer = peer.receive()
    assert answer.topic == topics.certs("life-badcsr", "rejected")
    assert (answer.json["rotation_id"], answer.json["code"]) == (rotation_id, "bad_csr")


def test_a_rotation_is_asked_for_again_when_the_device_comes_online(live: RunningFleet) -> None:
    device = live.enrolled("life-away")
    rotation = live.cli("rotate", "life-away", "--no-wait").data
    with device.connect():
        device.listen()
        device.report("connected")
        assert device.online.receive().json["rotation_id"] == rotation["rotation_id"]


def test_a_pushed_key_reaches_a_device_that_is_online(live: RunningFleet) -> None:
    device = live.enrolled("life-pushed")
    with device.connect():
        device.listen()
        rotation = live.cli("rotate", "life-pushed", "--push", "--key", "rsa-2048", "--no-wait").data
        pushed = device.online.receive().json
        key = load_pem_private_key(pushed["new_private_key"].encode(), None)
        device.adopt(pushed["new_certificate"], pushed["chain"], key)  # type: ignore[arg-type]
    assert pushed["rotation_id"] == rotation["rotation_id"]
    prove(device, rotation["rotation_id"])
    assert device.record()["rotations"][0]["mode"] == "push"


def test_a_pushed_key_is_not_sent_while_the_device_is_offline_whoever_listens(live: RunningFleet) -> None:
    device = live.enrolled("life-offline")
    with live.operator_peer("life-listener") as listener:
        listener.subscribe("devices/life-offline/#")
        outcome = live.cli("rotate", "life-offline", "--push")
        assert outcome.code == 1
        assert "offline" in outcome.stderr
        listener.publish("devices/life-offline/last", b"")
        assert listener.receive().topic == "devices/life-offline/last"
    record = device.record()
    assert record["rotations"][0]["state"] == "abandoned"
    assert record["certificate_id"] == device.me.certificate_id


def test_revocation_ends_the_session_and_keeps_the_device_out(live: RunningFleet) -> None:
    device, bystander = live.enrolled("life-revoked"), live.enrolled("life-bystander")
    with device.connect() as peer, bystander.connect() as other:
        assert live.cli("revoke", "life-revoked", "--reason", "stolen").code == 0
        assert peer.disconnected().is_failure
        answer = live.device_peer(device.me, "life-revoked").try_connect()
        assert answer is not None
        assert answer.value == NOT_AUTHORISED
        assert other.is_connected()
        bystander.report("connected")
    assert device.record()["state"] == "revoked"


def test_rotate_follows_a_rotation_to_its_end(live: RunningFleet) -> None:
    device = live.enrolled("life-followed")
    with device.connect() as peer:
        device.listen()
        command = ["rotate", "life-followed", "--dir", str(live.layout.directory)]
        with subprocess.Popen(
            [sys.executable, "-m", "fleetpki.cli", *command], stdout=subprocess.PIPE, text=True
        ) as operator:
            rotation_id = peer.receive().json["rotation_id"]
            status = {"state": "rejected", "certificate_id": device.me.certificate_id, "generation": 1}
            status |= {
                "not_after": "2040-01-01T00:00:00Z",
                "rotation_id": rotation_id,
                "code": "storage_full",
            }
            peer.publish(topics.certs("life-followed", "status"), status)
            stdout, _ = operator.communicate(timeout=PATIENCE_S)
    assert operator.returncode == 1
    assert "life-followed: rejected (storage_full" in stdout


def test_a_rotation_that_takes_too_long_is_reported_as_pending(live: RunningFleet) -> None:
    live.enrolled("life-slow")
    outcome = live.cli("rotate", "life-slow", "--timeout", "0")
    assert outcome.code == 3
    assert outcome.data["state"] == "requested"


def test_a_certificate_issued_by_hand_rotates_the_device_that_is_given_it(
    live: RunningFleet, tmp_path: Path
) -> None:
    device = live.enrolled("life-by-hand")
    key = new_key()
    csr, certificate = tmp_path / "new.csr", tmp_path / "new.crt"
    csr.write_text(device.csr(key))
    issued = live.cli("issue", "life-by-hand", "--csr", csr, "--out", certificate).data
    device.adopt(certificate.read_text(), issued["chain"], key)
    prove(device, issued["certificate_id"])


def test_a_device_may_enrol_again_only_when_allowed(live: RunningFleet) -> None:
    live.enrolled("life-reset")
    reborn = Device(live, "life-reset", generation=7)
    refusal = live.bootstrap_peer("life-reset").try_connect()
    assert refusal is not None
    assert refusal.getName() == "Not authorized"
    assert live.cli("allow", "life-reset").code == 0
    reborn.enroll()


def test_the_services_come_back_when_their_connection_ends(live: RunningFleet) -> None:
    services = live.layout.services
    service = Identity(services / "service.crt", services / "service.key")
    with live.operator_peer("life-operator") as operator:
        operator.publish(topics.DISCONNECT, {"certificate_id": service.certificate_id})
        await_(lambda: operator.publish("bootstrap/nobody/enroll", b"{}").value == 0)
    live.enrolled("life-after")


def test_the_private_key_of_a_push_is_in_no_file(live: RunningFleet) -> None:
    device = live.enrolled("life-secret")
    with device.connect() as peer:
        device.listen()
        live.cli("rotate", "life-secret", "--push", "--no-wait")
        key_line = peer.receive().json["new_private_key"].splitlines()[1].encode()
    files = [path for path in live.layout.directory.rglob("*") if path.is_file()]
    assert live.layout.registry in files
    assert not [path for path in files if key_line in path.read_bytes()]


def test_the_fleet_survives_that_up_is_killed(live: RunningFleet, tmp_path: Path) -> None:
    layout = make_fleet(tmp_path)
    with start_up(layout) as first:
        assert ready_line(first).startswith("fleetpki: ready")
        first.kill()
    with start_up(layout) as second:
        assert ready_line(second).startswith("fleetpki: ready"), second.communicate()
        second.terminate()
        assert second.wait(PATIENCE_S) == 0
    assert json.loads(run_cli("devices", "--dir", layout.directory, "--json").stdout) == []
