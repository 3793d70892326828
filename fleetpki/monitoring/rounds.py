# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The monitor at work: one round after another, or a single one."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fleetpki.fleet import Fleet
from fleetpki.lifecycle import campaigns, monitor, trust
from fleetpki.lifecycle.monitor import Tally
from fleetpki.monitoring import health
from fleetpki.monitoring.delivery import channels, deliver
from fleetpki.monitoring.news import Channel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Round:
    """What a round found and did."""

    watched: Tally
    campaign_rotations: int
    trust_updates: int
    told: int
    backlog: int

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        counts = asdict(self)
        return {**counts.pop("watched"), **counts}

    @property
    def is_quiet(self) -> bool:
        """Whether there was nothing to do."""
        return not any(self.to_json().values())


async def one_round(fleet: Fleet, ways: Mapping[str, Channel]) -> Round:
    """Do what is due now; any number may run at once, on any number of machines."""
    ctx, limit = fleet.context, fleet.settings.renewals_per_minute
    per_round = max(1, limit * min(fleet.settings.monitor_s, 60) // 60)
    watched = await asyncio.to_thread(monitor.watch, ctx, per_round)
    rotations = await asyncio.to_thread(campaigns.advance_all, ctx)
    updates = await asyncio.to_thread(trust.send_to_outdated, ctx, per_round)
    await asyncio.to_thread(health.raise_alerts, fleet)
    told = await deliver(ctx, ways)
    return Round(watched, rotations, updates, told, await asyncio.to_thread(monitor.backlog, ctx))


async def keep_watch(fleet: Fleet) -> None:
    """One round after another until cancelled; one that fails is followed by the next."""
    ways = channels(fleet.settings.alerts)
    while True:
        try:
            done = await one_round(fleet, ways)
        except Exception:
            log.exception("a round of the monitor failed; the next is in %s s", fleet.settings.monitor_s)
        else:
            if not done.is_quiet:
                log.info("monitor: %s", done)
        await asyncio.sleep(fleet.settings.monitor_s)
