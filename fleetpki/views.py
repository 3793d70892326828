# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the command line shows of the registry: for machines as plain data, for people as tables."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleetpki.lifecycle.campaigns import Progress
from fleetpki.registry.models import Alert, ApiToken, Batch, Campaign, Certificate, Claim, Device, Rotation
from fleetpki.times import rfc3339

Data = dict[str, Any]


def visible(text: str) -> str:
    """A text without what a terminal would obey or hide: that is escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class TextTable(Table):
    """A table of texts, each shown as it is: nothing in them is markup, and nothing for the terminal."""

    def __init__(self, *columns: str, title: str | None = None) -> None:
        """Begin a table without rows."""
        super().__init__(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
        for column in columns:
            self.add_column(column, overflow="fold")

    def add_texts(self, *texts: str) -> None:
        """Add a row."""
        self.add_row(*(Text(visible(text)) for text in texts))


#: Enough of a certificate id to recognise it by; all of it is in the JSON.
SHORT_ID = 16


def device_data(device: Device, certificate_id: str | None) -> Data:
    """A device and the certificate it works with."""
    return {
        "device_id": device.device_id,
        "state": str(device.state),
        "batch": device.batch,
        "group": device.group,
        "tags": device.tags,
        "version": device.version,
        "certificate_id": certificate_id,
        "not_after": _time(device.not_after),
        "generation": device.generation,
        "created_at": _time(device.created_at),
        "last_seen_at": _time(device.last_seen_at),
    }


def certificate_data(certificate: Certificate) -> Data:
    """A certificate of a device."""
    return {
        "certificate_id": certificate.certificate_id,
        "serial": certificate.serial,
        "state": str(certificate.state),
        "not_before": _time(certificate.not_before),
        "not_after": _time(certificate.not_after),
        "issued_at": _time(certificate.issued_at),
        "activated_at": _time(certificate.activated_at),
        "superseded_at": _time(certificate.superseded_at),
        "revoked_at": _time(certificate.revoked_at),
        "revocation_reason": certificate.revocation_reason,
    }


def rotation_data(rotation: Rotation) -> Data:
    """A rotation of a device."""
    return {
        "rotation_id": rotation.rotation_id,
        "device_id": rotation.device_id,
        "mode": str(rotation.mode),
        "initiator": str(rotation.initiator),
        "key": str(rotation.key),
        "state": str(rotation.state),
        "old_certificate_id": rotation.old.certificate_id,
        "certificate_id": rotation.new.certificate_id if rotation.new else None,
        "code": rotation.code,
        "message": rotation.message,
        "created_at": _time(rotation.created_at),
        "updated_at": _time(rotation.updated_at),
    }


def token_data(token: ApiToken) -> Data:
    """A token; the secret itself is nowhere."""
    return {
        "name": token.name,
        "role": str(token.role),
        "created_at": _time(token.created_at),
        "created_by": token.created_by,
        "expires_at": _time(token.expires_at),
        "revoked_at": _time(token.revoked_at),
    }


def token_table(tokens: Sequence[Data]) -> RenderableType:
    """All tokens, one a line."""
    table = TextTable("Token", "Role", "Made", "By", "Valid until", "Revoked")
    for token in tokens:
        times = [_people(token[at]) for at in ("created_at", "expires_at", "revoked_at")]
        table.add_texts(token["name"], token["role"], times[0], token["created_by"], *times[1:])
    return table


def person_data(certificate: Certificate) -> Data:
    """A certificate that permits something at the API."""
    return {
        "name": certificate.common_name,
        "role": str(certificate.api_role),
        **certificate_data(certificate),
    }


def person_table(people: Sequence[Data]) -> RenderableType:
    """All people, one certificate a line."""
    table = TextTable("Name", "Role", "State", "Valid until", "Certificate")
    for person in people:
        until, number = _people(person["not_after"]), (person["certificate_id"] or "")[:SHORT_ID]
        table.add_texts(person["name"], person["role"], person["state"], until, number)
    return table


def alert_data(alert: Alert) -> Data:
    """Something an operator should know."""
    return {
        "id": alert.id,
        "severity": alert.severity,
        "subject": alert.subject,
        "kind": alert.kind,
        "message": alert.message,
        "raised_at": _time(alert.raised_at),
        "cleared_at": _time(alert.cleared_at),
        "acknowledged_at": _time(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by,
    }


def campaign_data(campaign: Campaign, progress: Progress) -> Data:
    """A campaign and how far it is."""
    return {
        "campaign_id": campaign.campaign_id,
        "state": str(campaign.state),
        "selector": campaign.selector,
        "key": campaign.key,
        "rate_per_minute": campaign.rate_per_minute,
        "failure_limit_percent": campaign.failure_limit_percent,
        "progress": {**asdict(progress), "total": progress.total},
        "created_at": _time(campaign.created_at),
        "created_by": campaign.created_by,
        "reason": campaign.reason,
    }


def alert_table(alerts: Sequence[Data]) -> RenderableType:
    """Alerts, one a line."""
    table = TextTable("Alert", "Severity", "Subject", "What", "Since", "Message")
    for alert in alerts:
        table.add_texts(
            str(alert["id"]),
            alert["severity"],
            alert["subject"],
            alert["kind"],
            _people(alert["raised_at"]),
            alert["message"],
        )
    return table


def campaign_table(campaigns: Sequence[Data]) -> RenderableType:
    """Campaigns, one a line."""
    table = TextTable("Campaign", "State", "All", "Waiting", "Open", "Done", "Failed", "Given up")
    for campaign in campaigns:
        progress = campaign["progress"]
        counts = ("total", "waiting", "under_way", "committed", "failed", "abandoned")
        table.add_texts(campaign["campaign_id"], campaign["state"], *(str(progress[name]) for name in counts))
    return table


def device_table(devices: Sequence[Data]) -> RenderableType:
    """All devices, one a line."""
    table = TextTable("Device", "State", "Group", "Certificate", "Valid until", "Last seen")
    for device in devices:
        table.add_texts(
            device["device_id"],
            device["state"],
            device["group"] or "-",
            _short(device["certificate_id"]),
            _people(device["not_after"]),
            _people(device["last_seen_at"]),
        )
    return table


def device_page(device: Data, certificates: Sequence[Data], rotations: Sequence[Data]) -> RenderableType:
    """Everything about one device."""
    seen = _people(device["last_seen_at"])
    title = Text(
        f"{device['device_id']}  {device['state']}  generation {device['generation']}  last seen {seen}"
    )
    issued = TextTable("Certificate", "State", "Valid until", "Since", title="Certificates")
    for certificate in certificates:
        since = next(
            (
                certificate[at]
                for at in ("revoked_at", "superseded_at", "activated_at", "issued_at")
                if certificate[at]
            ),
            None,
        )
        issued.add_texts(
            _short(certificate["certificate_id"]),
            certificate["state"],
            _people(certificate["not_after"]),
            _people(since),
        )
    turned = TextTable("Rotation", "Mode", "Key", "State", "New certificate", "Reason", title="Rotations")
    for rotation in rotations:
        turned.add_texts(
            _short(rotation["rotation_id"]),
            rotation["mode"],
            rotation["key"],
            rotation["state"],
            _short(rotation["certificate_id"]),
            rotation["code"] or "",
        )
    return Group(title, issued, turned)


def batch_data(batch: Batch) -> Data:
    """A batch and what it permits."""
    return {
        "name": batch.name,
        "enabled": batch.enabled,
        "open": batch.open,
        "proof": batch.proof,
        "cloud_keys": batch.cloud_keys,
        "budget": batch.budget,
        "rate_per_minute": batch.rate_per_minute,
        "created_at": _time(batch.created_at),
    }


def batch_table(batches: Sequence[Data]) -> RenderableType:
    """All batches, one a line."""
    table = TextTable("Batch", "Enabled", "Who may enrol", "Proof", "Keys made here", "Budget", "A minute")
    for batch in batches:
        table.add_texts(
            batch["name"],
            _yes(batch["enabled"]),
            "any device" if batch["open"] else "the allow-list",
            _yes(batch["proof"]),
            _yes(batch["cloud_keys"]),
            str(batch["budget"] or "-"),
            str(batch["rate_per_minute"] or "-"),
        )
    return table


def claim_data(claim: Claim) -> Data:
    """A claim to be a device at work."""
    return {
        "claim": claim.id,
        "device_id": claim.device_id,
        "state": str(claim.state),
        "key_digest": claim.key_digest,
        "bootstrap_certificate_id": claim.sender,
        "claimed_at": _time(claim.claimed_at),
        "decided_at": _time(claim.decided_at),
        "decided_by": claim.decided_by,
    }


def claim_table(claims: Sequence[Data]) -> RenderableType:
    """Claims, one a line."""
    table = TextTable("Claim", "Device", "State", "Key", "With certificate", "Claimed", "Decided by")
    for claim in claims:
        table.add_texts(
            str(claim["claim"]),
            claim["device_id"],
            claim["state"],
            _short(claim["key_digest"]),
            _short(claim["bootstrap_certificate_id"]),
            _people(claim["claimed_at"]),
            claim["decided_by"] or "-",
        )
    return table


def _time(at: datetime | None) -> str | None:
    return rfc3339(at, "seconds") if at else None


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _people(at: str | None) -> str:
    return at.replace("T", " ") if at else "-"


def _short(identifier: str | None) -> str:
    return identifier[:SHORT_ID] if identifier else "-"
