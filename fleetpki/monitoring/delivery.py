# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Tells over every channel what waits to be told: at least once, and by one teller at a time."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, or_, select, update

from fleetpki.errors import FleetError
from fleetpki.lifecycle import Context
from fleetpki.monitoring.mail import Mail
from fleetpki.monitoring.news import Channel, DeliveryError, News
from fleetpki.monitoring.settings import LOG, MAIL, WEBHOOK, AlertSettings
from fleetpki.monitoring.webhook import Webhook
from fleetpki.registry.models import AlertNotice

log = logging.getLogger(__name__)

_ACTOR = "monitor"
_BATCH = 500

#: Longer than any channel tries: whoever holds notices for longer has died.
_LEASE = timedelta(minutes=2)


class Log:
    """The log of the process that tells."""

    async def tell(self, news: Sequence[News]) -> None:
        """Write a line for each."""
        for each in news:
            log.warning("alert %s", each.to_text())


def channels(settings: AlertSettings) -> dict[str, Channel]:
    """The channels of a fleet."""
    found: dict[str, Channel] = {LOG: Log()}
    if settings.webhook_url and settings.webhook_secret_file:
        found[WEBHOOK] = Webhook(settings.webhook_url, _secret(settings.webhook_secret_file))
    if settings.smtp_host and settings.mail_from:
        found[MAIL] = Mail(
            settings.smtp_host,
            settings.smtp_port,
            settings.mail_from,
            settings.mail_to,
            settings.smtp_starttls,
            settings.smtp_ca_file,
            settings.smtp_user,
            settings.smtp_password_file,
        )
    return found


async def deliver(ctx: Context, channels: Mapping[str, Channel]) -> int:
    """Tell what waits; how much got through. One channel's failure holds up no other, nor does odd news."""
    told = await asyncio.gather(*(_deliver_by(ctx, name, channel) for name, channel in channels.items()))
    return sum(told)


async def _deliver_by(ctx: Context, name: str, channel: Channel) -> int:
    taken = await asyncio.to_thread(_take, ctx, name)
    if not taken:
        return 0
    told: list[int] = []
    try:
        await _tell(channel, taken, list(taken), told)
    except DeliveryError as error:
        log.error("alerts do not get through by %s: %s; they wait for the next round", name, error)  # noqa: TRY400
    await asyncio.to_thread(_settle, ctx, told, list(taken.keys() - told))
    return len(told)


async def _tell(channel: Channel, taken: Mapping[int, News], notices: Sequence[int], told: list[int]) -> None:
    """Tell these; when the channel fails in a way it should not, in halves: all but what it fails over."""
    try:
        await channel.tell([taken[notice] for notice in notices])
    except DeliveryError:
        raise
    except Exception:
        if len(notices) == 1:
            log.exception("this alert cannot be told; it is tried again: %s", taken[notices[0]].to_text())
            return
        middle = len(notices) // 2
        await _tell(channel, taken, notices[:middle], told)
        await _tell(channel, taken, notices[middle:], told)
    else:
        told += notices


def _take(ctx: Context, channel: str) -> dict[int, News]:
    """Lease what waits for a channel, oldest first."""
    now = ctx.clock()
    free = or_(AlertNotice.leased_until.is_(None), AlertNotice.leased_until < now)
    waiting = select(AlertNotice).where(AlertNotice.channel == channel, free).order_by(AlertNotice.id)
    with ctx.transaction(_ACTOR, "tell", channel) as tx:
        notices = tx.session.scalars(
            waiting.limit(_BATCH).with_for_update(of=AlertNotice, skip_locked=True)
        ).all()
        for notice in notices:
            notice.leased_until = tx.now + _LEASE
        return {notice.id: News.of(notice.alert, notice.event) for notice in notices}


def _settle(ctx: Context, told: Sequence[int], untold: Sequence[int]) -> None:
    """Forget what was told, give back what was not."""
    with ctx.transaction(_ACTOR, "tell", "alerts") as tx:
        tx.session.execute(delete(AlertNotice).where(AlertNotice.id.in_(told)))
        tx.session.execute(update(AlertNotice).where(AlertNotice.id.in_(untold)).values(leased_until=None))


def _secret(path: Path) -> bytes:
    secret = path.read_bytes().strip()
    if len(secret) < 16:
        raise FleetError(f"{path}: a webhook's secret has at least 16 characters", "write a longer one", 2)
    return secret
