# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The rules under a network that loses, repeats, delays and reorders, with power cuts, time and a liar.

Devices of a small but honest make go through rotations of every kind. After every step:

* every signature made belongs to a certificate on record (invariant 1);
* a device has at most one operational certificate, and one more while it gets a new one (invariant 2);
* the device's row says when that certificate ends;
* a repeated request gets the same answer or none (invariant 4);
* no state changed without an audit entry, and the chain holds (invariant 5);
* the identity an honest device works with is admitted: whatever happens, nobody is locked out.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text

from fleetpki.errors import Rejected
from fleetpki.lifecycle import (
    DeviceStatus,
    KeyRequest,
    StatusState,
    answer_csr,
    collect_unactivated,
    issue_for,
    push_rotation,
    record_status,
    start_rotation,
)
from fleetpki.pki.hierarchy import Hierarchy
from fleetpki.pki.issuer import Issuer, Plan
from fleetpki.pki.keys import PrivateKey
from fleetpki.registry.database import reading
from fleetpki.registry.models import (
    AuditEntry,
    Certificate,
    CertificateState,
    Device,
    OutboxKind,
    Rotation,
)
from tests.cloud.doubles import START, Clock, FakeDevice, Fleet, ReusedRegistry, make_context, new_key

HONEST = ("sensor-1", "sensor-2")
LIAR = "sensor-3"
EXAMPLES = int(os.environ.get("LIFECYCLE_EXAMPLES", "5"))  # a few each time; set it to search for longer
INDEX = st.integers(min_value=0, max_value=9)


@dataclass
class Trial:
    """A staged identity."""

    rotation_id: str
    certificate_id: str
    key: PrivateKey


@dataclass
class HonestDevice:
    """The device's side of the protocol; what it sends waits in ``uplink``, stamped with its connection."""

    fleet: Fleet
    device_id: str
    key: PrivateKey
    operational: str
    uplink: list[Callable[[], None]]
    connection: str | None = None
    trial: Trial | None = None
    pending: tuple[str, PrivateKey] | None = None
    inbox: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    renewals: int = 0

    def connect(self, certificate_id: str) -> bool:
        self.connection = certificate_id if self.fleet.admits(certificate_id, self.device_id) else None
        return self.connection is not None

    def go_online(self) -> None:
        """Try the staged identity first; a refused one is rolled back."""
        if self.trial is not None and self.connect(self.trial.certificate_id):
            self.say(StatusState.CONNECTED, self.trial.rotation_id)
            return
        refused, self.trial = self.trial, None
        assert self.connect(self.operational), "locked out"
        if refused is not None:
            self.say(StatusState.ROLLED_BACK, refused.rotation_id)
        self.say(StatusState.CONNECTED)

    def give_up_trial(self) -> None:
        """The trial failed for reasons of its own."""
        rolled_back, self.trial = self.trial, None
        assert self.connect(self.operational), "locked out"
        assert rolled_back is not None
        self.say(StatusState.ROLLED_BACK, rolled_back.rotation_id)
        self.say(StatusState.CONNECTED)

    def cut_power(self) -> None:
        self.connection = self.pending = None
        self.inbox.clear()

    def hear(self, kind: str, body: dict[str, Any]) -> None:
        getattr(self, f"hear_{kind}")(body)

    def hear_rotate(self, body: dict[str, Any]) -> None:
        if self.trial is not None:
            return
        self.say(StatusState.ACCEPTED, body["rotation_id"])
        if self.pending is None or self.pending[0] != body["rotation_id"]:
            self.pending = (body["rotation_id"], self.key if body["key"] == KeyRequest.SAME else new_key())
        self.request(None)

    def hear_push(self, body: dict[str, Any]) -> None:
        if self.trial is not None:
            self.say(StatusState.REJECTED, body["rotation_id"])
            return
        self.trial = Trial(body["rotation_id"], body["certificate_id"], body["key"])
        self.say(StatusState.STAGED, body["rotation_id"])

    def hear_issued(self, body: dict[str, Any]) -> None:
        rotation_id = body["rotation_id"]
        if self.trial is not None and self.trial.certificate_id == body["certificate_id"]:
            self.say(StatusState.STAGED, rotation_id)
        elif self.pending is not None and self.pending[0] == rotation_id and self.fits(body["certificate"]):
            self.trial, self.pending = Trial(rotation_id, body["certificate_id"], self.pending[1]), None
            self.say(StatusState.STAGED, rotation_id)
        elif body["certificate_id"] != self.operational:
            self.say(StatusState.REJECTED, rotation_id)

    def fits(self, pem: str) -> bool:
        assert self.pending is not None
        return x509.load_pem_x509_certificate(pem.encode()).public_key() == self.pending[1].public_key()

    def hear_commit(self, body: dict[str, Any]) -> None:
        new = body["certificate_id"]
        if self.trial is not None and self.trial.certificate_id == new and self.connection == new:
            self.operational, self.key, self.trial = new, self.trial.key, None
        if self.operational == new:
            self.say(StatusState.COMMITTED, body["rotation_id"])

    def renew(self, same_key: bool) -> None:
        self.renewals += 1
        self.pending = (f"renewal-{self.renewals}", self.key if same_key else new_key())
        self.request("expiring")

    def request(self, reason: str | None) -> None:
        assert self.pending is not None
        assert self.connection is not None
        rotation_id, csr_pem = self.pending[0], FakeDevice(self.fleet, self.device_id).csr(self.pending[1])
        sender = self.connection

        def arrives() -> None:
            issued = answer_csr(
                self.fleet.ctx,
                device_id=self.device_id,
                sender=sender,
                rotation_id=rotation_id,
                csr_pem=csr_pem,
                reason=reason,
            )
            assert (
                self.answers.setdefault((rotation_id, csr_pem), issued.certificate_pem)
                == issued.certificate_pem
            )
            body = {
                "rotation_id": rotation_id,
                "certificate": issued.certificate_pem,
                "certificate_id": issued.certificate_id,
            }
            self.inbox.append(("issued", body))

        self.uplink.append(arrives)

    def say(self, state: StatusState, rotation_id: str | None = None) -> None:
        assert self.connection is not None
        sender = self.connection
        status = DeviceStatus(state=state, certificate_id=sender, generation=1, rotation_id=rotation_id)
        self.uplink.append(
            lambda: record_status(self.fleet.ctx, device_id=self.device_id, sender=sender, status=status)
        )


class Lifecycle(RuleBasedStateMachine):
    """The network between the rules and the devices."""

    registry: ReusedRegistry
    hierarchy: Hierarchy
    signed: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.signed.clear()
        self.clock = Clock(START)
        self.fleet = Fleet(make_context(self.registry.renewed(), self.hierarchy, self.clock), self.hierarchy)
        self.uplink: list[Callable[[], None]] = []
        self.devices: dict[str, HonestDevice] = {}
        for device_id in HONEST:
            born = self.fleet.device(device_id)
            device = HonestDevice(self.fleet, device_id, born.key, born.certificate_id, self.uplink)
            device.go_online()
            self.devices[device_id] = device
        self.liar = self.fleet.device(LIAR)
        self.last = self.snapshot()

    # What operators do

    @rule(device_id=st.sampled_from(HONEST), key=st.sampled_from([KeyRequest.EC_P256, KeyRequest.SAME]))
    def operator_asks(self, device_id: str, key: KeyRequest) -> None:
        with suppress(Rejected):
            start_rotation(self.fleet.ctx, device_id, key=key, deadline=self.clock() + timedelta(hours=3))

    @rule(device_id=st.sampled_from(HONEST), by_hand=st.booleans(), lost=st.booleans())
    def operator_pushes(self, device_id: str, by_hand: bool, lost: bool) -> None:
        device, key = self.devices[device_id], new_key()
        body: dict[str, Any] = {"key": key}
        with suppress(Rejected):
            if by_hand:
                certificate = issue_for(self.fleet.ctx, device_id, FakeDevice(self.fleet, device_id).csr(key))
                body["rotation_id"] = body["certificate_id"] = certificate.signed_id
            else:
                rotation, pushed = push_rotation(self.fleet.ctx, device_id, key=KeyRequest.EC_P256)
                body.update(rotation_id=rotation.rotation_id, certificate_id=pushed.certificate_id)
            if device.connection is not None and not lost:
                device.inbox.append(("push", body))

    # What devices do

    @rule(device_id=st.sampled_from(HONEST))
    def device_goes_online(self, device_id: str) -> None:
        self.devices[device_id].go_online()

    @rule(device_id=st.sampled_from(HONEST))
    def device_loses_power(self, device_id: str) -> None:
        self.devices[device_id].cut_power()

    @precondition(lambda self: any(device.trial for device in self.devices.values()))
    @rule(device_id=st.sampled_from(HONEST))
    def device_gives_up_its_trial(self, device_id: str) -> None:
        if self.devices[device_id].trial is not None:
            self.devices[device_id].give_up_trial()

    @rule(device_id=st.sampled_from(HONEST), same_key=st.booleans())
    def device_renews(self, device_id: str, same_key: bool) -> None:
        device = self.devices[device_id]
        if device.connection == device.operational and device.trial is None:
            device.renew(same_key)

    @precondition(lambda self: any(device.inbox for device in self.devices.values()))
    @rule(device_id=st.sampled_from(HONEST), index=INDEX, again=st.booleans())
    def device_hears(self, device_id: str, index: int, again: bool) -> None:
        device = self.devices[device_id]
        if device.inbox and device.connection is not None:
            message = device.inbox[index % len(device.inbox)]
            if not again:
                device.inbox.remove(message)
            device.hear(*message)

    @rule(
        state=st.sampled_from(StatusState),
        victim=st.sampled_from(HONEST),
        in_its_name=st.booleans(),
        index=INDEX,
    )
    def liar_talks(self, state: StatusState, victim: str, in_its_name: bool, index: int) -> None:
        with reading(self.fleet.ctx.sessions) as session:
            names = [
                *session.scalars(text("SELECT rotation_id FROM rotations")),
                *session.scalars(text("SELECT certificate_id FROM certificates")),
            ]
        name = names[index % len(names)]
        status = DeviceStatus(state=state, certificate_id=name, generation=1, rotation_id=name)
        before, _ = self.snapshot()
        with suppress(Rejected):
            record_status(
                self.fleet.ctx,
                device_id=victim if in_its_name else LIAR,
                sender=self.liar.certificate_id,
                status=status,
            )
        assert self.snapshot()[0] == before

    # What the network and time do

    @rule(messages=st.integers(min_value=1, max_value=12))
    def network_works(self, messages: int) -> None:
        """Everything arrives, once and in order, for a while: far enough to be anywhere in a rotation."""
        for _ in range(messages):
            self.dispatcher_sends(lost=False)
            for device in self.devices.values():
                if device.connection is None or (device.trial and device.connection == device.operational):
                    device.go_online()
                elif device.inbox:
                    device.hear(*device.inbox.pop(0))
            if self.uplink:
                with suppress(Rejected):
                    self.uplink.pop(0)()

    @precondition(lambda self: self.uplink)
    @rule(index=INDEX, again=st.booleans())
    def cloud_hears(self, index: int, again: bool) -> None:
        message = self.uplink[index % len(self.uplink)]
        if not again:
            self.uplink.remove(message)
        with suppress(Rejected):
            message()

    @precondition(lambda self: self.uplink)
    @rule(index=INDEX)
    def network_loses(self, index: int) -> None:
        del self.uplink[index % len(self.uplink)]

    @rule(lost=st.booleans())
    def dispatcher_sends(self, lost: bool) -> None:
        with reading(self.fleet.ctx.sessions) as session:
            addressees = session.scalars(text("SELECT device_id FROM outbox ORDER BY id")).all()
        for device_id, (kind, body) in zip(addressees, self.fleet.delivered(), strict=True):
            device = self.devices.get(device_id)
            if device is None:
                continue
            if kind == OutboxKind.DISCONNECT:
                if device.connection == body["certificate_id"]:
                    device.connection = None
            elif device.connection is not None and not lost:
                device.inbox.append((kind, body))

    @rule(hours=st.integers(min_value=1, max_value=4))
    def time_passes(self, hours: int) -> None:
        """Nothing stays on its way for as long as the activation window."""
        self.uplink.clear()
        for device in self.devices.values():
            device.inbox.clear()
        self.clock.advance(timedelta(hours=hours, minutes=1))
        collect_unactivated(self.fleet.ctx)

    @rule(device_id=st.sampled_from(HONEST), messages=st.integers(min_value=1, max_value=12))
    def rotation_is_cut_off(self, device_id: str, messages: int) -> None:
        """A rotation gets so far, then everything on its way is lost and nobody speaks for hours."""
        self.operator_asks(device_id, KeyRequest.EC_P256)
        self.network_works(messages)
        self.time_passes(hours=2)

    # What must hold

    def snapshot(self) -> tuple[list[Any], int]:
        with reading(self.fleet.ctx.sessions) as session:
            states = [
                *session.execute(text("SELECT device_id, state FROM devices ORDER BY device_id")).all(),
                *session.execute(text("SELECT serial, state FROM certificates ORDER BY id")).all(),
                *session.execute(
                    text("SELECT rotation_id, state FROM rotations ORDER BY device_id, 1")
                ).all(),
            ]
            return states, session.scalars(text("SELECT count(*) FROM audit")).one()

    @invariant()
    def every_change_is_audited(self) -> None:
        now = self.snapshot()
        assert now[0] == self.last[0] or now[1] > self.last[1]
        self.last = now

    @invariant()
    def every_signature_is_on_record(self) -> None:
        with reading(self.fleet.ctx.sessions) as session:
            recorded = set(session.scalars(text("SELECT serial FROM certificates")))
        assert recorded.issuperset(self.signed)

    @invariant()
    def a_device_has_one_identity_and_at_most_one_candidate(self) -> None:
        count = text(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM certificates WHERE role = 'device'"
            " AND state IN ('recorded', 'issued', 'active') GROUP BY device_id, state = 'active') AS counted"
        )
        with reading(self.fleet.ctx.sessions) as session:
            assert session.scalars(count).one() == 1

    @invariant()
    def a_device_says_when_its_certificate_ends(self) -> None:
        active = select(Certificate.not_after).where(
            Certificate.device_id == Device.device_id, Certificate.state == CertificateState.ACTIVE
        )
        query = select(Device.not_after, active.correlate(Device).scalar_subquery())
        with reading(self.fleet.ctx.sessions) as session:
            assert all(said == true for said, true in session.execute(query))

    @invariant()
    def no_honest_device_is_locked_out(self) -> None:
        for device in self.devices.values():
            assert self.fleet.admits(device.operational, device.device_id)

    def teardown(self) -> None:
        for device in self.devices.values():
            self.comes_to_rest(device)
        self.fleet.audited("fleet")  # verifies the chain
        self.every_state_is_explained()

    def every_state_is_explained(self) -> None:
        with reading(self.fleet.ctx.sessions) as session:
            entries = session.scalars(select(AuditEntry)).all()
            certificates = session.scalars(
                select(Certificate).where(Certificate.device_id.is_not(None))
            ).all()
            rotations = session.scalars(select(Rotation)).all()
        certified = {(entry.action, entry.detail.get("certificate_id")) for entry in entries}
        rotated = {(entry.action, entry.subject, entry.detail.get("rotation_id")) for entry in entries}
        for certificate in certificates:
            verb = "activated" if certificate.state == CertificateState.ACTIVE else certificate.state
            assert (f"certificate.{verb}", certificate.certificate_id) in certified
        for rotation in rotations:
            assert (f"rotation.{rotation.state}", rotation.device_id, rotation.rotation_id) in rotated

    def comes_to_rest(self, device: HonestDevice) -> None:
        """Once the network works, a device ends with one identity and can be rotated again."""
        for _ in range(2):
            self.time_passes(4)
            device.go_online()
            while self.uplink or any(other.inbox for other in self.devices.values()):
                self.network_works(messages=1)
            self.network_works(messages=6)
        assert device.trial is None
        states = [certificate.state for certificate in self.fleet.certificates(device.device_id)]
        assert states.count(CertificateState.ACTIVE) == 1
        assert not {CertificateState.RECORDED, CertificateState.ISSUED}.intersection(states)
        start_rotation(self.fleet.ctx, device.device_id, key=KeyRequest.EC_P256)


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The serial numbers of all signatures made."""
    serials: list[str] = []
    sign = Issuer.sign

    def observed_sign(issuer: Issuer, plan: Plan) -> x509.Certificate:
        certificate = sign(issuer, plan)
        serials.append(f"{certificate.serial_number:x}")
        return certificate

    monkeypatch.setattr(Issuer, "sign", observed_sign)
    return serials


@pytest.mark.both_databases
def test_whatever_the_network_does(registry: ReusedRegistry, hierarchy: Hierarchy, signed: list[str]) -> None:
    machine = type(
        "Lifecycle", (Lifecycle,), {"registry": registry, "hierarchy": hierarchy, "signed": signed}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
