# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Housekeeping ends what is overdue, and nothing that a device is busy with."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleetpki.lifecycle import KeyRequest, StatusState, collect_unactivated, housekeeping, start_rotation
from fleetpki.lifecycle.parties import free_devices, known_device
from fleetpki.lifecycle.transitions import advance, commit
from fleetpki.registry import queries
from fleetpki.registry.models import CertificateState, RotationState
from tests.cloud.doubles import Clock, FakeDevice, Fleet, new_key

HOUR = timedelta(hours=1)


@pytest.fixture
def device(fleet: Fleet) -> FakeDevice:
    return fleet.device("sensor-1")


@pytest.mark.parametrize("registry", ["postgresql"], indirect=True, scope="session")
class TestBesideADevice:
    """Of two processes on one server; a file has one writer at a time."""

    def test_a_device_that_commits_meanwhile_keeps_its_new_certificate(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        rotation_id, new = self._staged(device, clock)
        with fleet.ctx.transaction("test", "commit", device.device_id) as tx:
            registered = known_device(tx, device.device_id)
            assert collect_unactivated(replace(fleet.ctx)) == 0
            rotation = queries.rotation(tx.session, device.device_id, rotation_id)
            certificate = queries.certificate(tx.session, new)
            assert rotation is not None
            assert certificate is not None
            commit(tx, registered, rotation, certificate)
        assert collect_unactivated(fleet.ctx) == 0
        assert fleet.state(new) == CertificateState.ACTIVE

    def test_a_device_that_commits_just_before_it_is_locked_does_too(
        self, fleet: Fleet, device: FakeDevice, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rotation_id, new = self._staged(device, clock)

        def commit_first() -> None:
            other = replace(device, fleet=replace(fleet, ctx=replace(fleet.ctx)))
            other.says(StatusState.CONNECTED, rotation_id, over=new)
            other.says(StatusState.COMMITTED, rotation_id, over=new)

        self._before_locking(monkeypatch, commit_first)
        assert collect_unactivated(fleet.ctx) == 0
        assert fleet.state(new) == CertificateState.ACTIVE
        assert device.rotation_state(rotation_id) == RotationState.COMMITTED

    def test_a_rotation_that_gets_its_certificate_meanwhile_goes_on(
        self, fleet: Fleet, device: FakeDevice, clock: Clock
    ) -> None:
        deadline = clock() + HOUR
        rotation_id = start_rotation(
            fleet.ctx, device.device_id, key=KeyRequest.EC_P256, deadline=deadline
        ).rotation_id
        clock.advance(2 * HOUR)
        with fleet.ctx.transaction("test", "issue", device.device_id) as tx:
            known_device(tx, device.device_id)
            assert collect_unactivated(replace(fleet.ctx)) == 0
            rotation = queries.rotation(tx.session, device.device_id, rotation_id)
            assert rotation is not None
            advance(tx, rotation, RotationState.ISSUED)
        assert collect_unactivated(fleet.ctx) == 0
        assert device.rotation_state(rotation_id) == RotationState.ISSUED

    @staticmethod
    def _staged(device: FakeDevice, clock: Clock) -> tuple[str, str]:
        """A rotation whose new certificate is overdue, and that certificate."""
        rotation_id = device.is_asked_to_rotate()
        new = device.requests(rotation_id, new_key()).certificate_id
        device.says(StatusState.STAGED, rotation_id)
        clock.advance(device.fleet.ctx.policy.activation_window + timedelta(seconds=1))
        return rotation_id, new

    @staticmethod
    def _before_locking(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
        def after_the_action(*arguments: Any) -> Any:
            action()
            return free_devices(*arguments)

        monkeypatch.setattr(housekeeping, "free_devices", after_the_action)
