# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud of a device under test."""

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from fleetpki.config import LOOPBACK_NAMES
from fleetpki.sim.cloud import Cloud
from fleetpki.sim.transcript import Transcript
from fleetpki.sim.world import World
from tests.cloud.broker_fixtures import Identity, Peer

T = TypeVar("T")


class Outside:
    """The world around the device, for tests that are not asynchronous: its event loop runs in a thread."""

    def __init__(self, world: World, patience_s: float) -> None:
        self.world = world
        self.cloud: Cloud = world.cloud
        self.host = ""
        self._patience_s = patience_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="outside")
        self._thread.start()

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, directory: Path, fleet: Path | None, host: str | None, patience_s: float
    ) -> Iterator[Self]:
        """A cloud below ``directory`` on free ports: a new one, or a copy of one that firmware was built for.

        ``host`` is where devices find it; None: where the fleet says. A device may take ``patience_s``.
        """
        outside = cls(World(directory, Transcript(), seed=0), patience_s)
        try:
            if fleet is None:
                outside.do(outside.cloud.init([host] if host else []))
            else:
                copy(fleet, outside.cloud)
            outside.host = outside._reachable_at(host)
            outside.do(outside.world.__aenter__())
            try:
                outside.do(outside.world.cloud_up())
                yield outside
            finally:
                outside.do(outside.world.__aexit__(None, None, None))
        finally:
            outside._close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run asynchronous work to its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def until(self, fact: str, holds: Callable[[], bool]) -> None:
        """Wait for a fact to become true."""
        self.do(self.world.until(fact, holds, self._patience_s))

    def device_settings(self, device_id: str) -> dict[str, str | int]:
        """What has to be set on the device."""
        return self.cloud.device_settings(device_id) | {"broker": self.host}

    def factory_images(self, device_id: str, partitions: Path, *options: str) -> dict[str, bytes]:
        """What the factory makes for a device, by partition."""
        with tempfile.TemporaryDirectory() as scratch:
            ids, production = Path(scratch) / "ids.txt", Path(scratch) / "production"
            ids.write_text(device_id + "\n")
            options += ("--ids", str(ids), "--host", self.host, "--out", str(production))
            self.do(self.cloud.json("factory", "make", "--partition-table", partitions, *options))
            return {path.stem: path.read_bytes() for path in (production / device_id).iterdir()}

    def observer(self) -> Peer:
        """Somebody in the cloud who listens to devices."""
        services = self.cloud.layout.services
        operator = Identity(services / "operator.crt", services / "operator.key")
        anchors = self.cloud.layout.bootstrap / "trust_anchors.pem"
        return Peer(anchors, operator, "observer", self.cloud.settings.service_port)

    def _reachable_at(self, host: str | None) -> str:
        hosts = self.cloud.settings.hosts
        if host is None:
            host = next((name for name in hosts if name not in LOOPBACK_NAMES), LOOPBACK_NAMES[0])
        if host not in hosts:
            pytest.fail(
                f"the fleet's broker is known as {hosts}, not as {host}: make the fleet with --host {host}"
            )
        return host

    def _close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def copy(fleet: Path, cloud: Cloud) -> None:
    """Copy a fleet: each run has a registry and ports of its own, and leaves nothing behind."""
    original = fleet / "fleet"
    if not original.is_dir():
        pytest.fail(
            f"no fleet in {original}: build the firmware with an identity of scripts/make_test_pki.py, "
            "or say with --fleet where the fleet is"
        )
    shutil.copytree(original, cloud.layout.directory)
