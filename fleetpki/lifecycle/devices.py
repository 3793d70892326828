# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator says about a device: its group and its tags."""

import re
from typing import Any, Final

from fleetpki.errors import Code, FleetError, Rejected
from fleetpki.lifecycle.context import OPERATOR, Context
from fleetpki.lifecycle.parties import known_device
from fleetpki.registry.models import Device
from fleetpki.registry.tags import put_tags

MAX_TAGS = 32
UNCHANGED: Final = "\0unchanged"
"""Says that a group is to stay; None takes the device out of its group."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")


def update_device(
    ctx: Context,
    device_id: str,
    *,
    version: int | None = None,
    group: str | None = UNCHANGED,
    tags: dict[str, Any] | None = None,
    actor: str = OPERATOR,
) -> Device:
    """Change group or tags; tags replace those the device has.

    With a ``version`` only if nobody has changed the device since it had that.
    """
    with ctx.transaction(actor, "update_device", device_id) as tx:
        device = known_device(tx, device_id)
        if version is not None and device.version != version:
            raise Rejected(Code.STALE, f"device {device_id} was changed meanwhile; look at it again")
        if group != UNCHANGED and group != device.group:
            if group is not None:
                check_group(group)
            device.group = group
            tx.audit("device.grouped", device_id, group=group)
        if tags is not None and tags != device.tags:
            check_tags(tags)
            put_tags(tx.session, device, tags)
            tx.audit("device.tagged", device_id, tags=tags)
        tx.session.flush()
        return device


def check_group(group: str) -> None:
    """Refuse a name no filter could ask for."""
    if _NAME.fullmatch(group) is None:
        raise _unusable(f"{group!r} is no name for a group")


def check_tags(tags: dict[str, Any]) -> None:
    """Refuse tags no filter could ask for."""
    if len(tags) > MAX_TAGS:
        raise FleetError(f"{len(tags)} tags are more than the {MAX_TAGS} a device can have", exit_code=2)
    for key, value in tags.items():
        if not isinstance(value, str) or _NAME.fullmatch(key) is None or _NAME.fullmatch(value) is None:
            raise _unusable(f"{key}={value!r} is no tag")


def _unusable(problem: str) -> FleetError:
    return FleetError(
        problem, "use 1 to 64 of A-Z a-z 0-9 . _ : / -, beginning with a letter or digit", exit_code=2
    )
