# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The tags of a device, and the rows it is found by: a page of a million devices is one walk of an index."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from fleetpki.registry.models import Device, DeviceTag


def put_tags(session: Session, device: Device, tags: dict[str, str]) -> None:
    """Give a device these tags and no others."""
    session.flush()
    session.execute(delete(DeviceTag).where(DeviceTag.device_id == device.device_id))
    device.tags = tags
    session.add_all(rows_of(device))


def rows_of(device: Device) -> list[DeviceTag]:
    """The rows a device is found by."""
    return [DeviceTag(key=key, value=value, device_id=device.device_id) for key, value in device.tags.items()]
