# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ORDERED_ID = sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(
            "open_alerts",
            ["id"],
            unique=False,
            sqlite_where=sa.text("cleared_at IS NULL"),
            postgresql_where=sa.text("cleared_at IS NULL"),
        )
        batch_op.create_index(
            "one_open_alert",
            ["subject", "kind"],
            unique=True,
            sqlite_where=sa.text("cleared_at IS NULL"),
            postgresql_where=sa.text("cleared_at IS NULL"),
        )

    op.create_table(
        "api_tokens",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("audit_by_actor", ["actor", "seq"], unique=False)
        batch_op.create_index("audit_by_subject", ["subject", "seq"], unique=False)

    op.create_table(
        "authorities",
        sa.Column("authority_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("pem", sa.String(), nullable=False),
        sa.Column("chain_pem", sa.String(), nullable=False),
        sa.Column("key_uri", sa.String(), nullable=True),
        sa.Column("issuer_id", sa.String(length=64), nullable=True),
        sa.Column("crl_partitions", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_id"],
            ["authorities.authority_id"],
        ),
        sa.PrimaryKeyConstraint("authority_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "batches",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("proof", sa.Boolean(), nullable=False),
        sa.Column("cloud_keys", sa.Boolean(), nullable=False),
        sa.Column("budget", sa.Integer(), nullable=True),
        sa.Column("rate_per_minute", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "campaigns",
        sa.Column("campaign_id", _ORDERED_ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("selector", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("rate_per_minute", sa.Integer(), nullable=False),
        sa.Column("failure_limit_percent", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("campaign_id"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("device_id", _ORDERED_ID, nullable=True),
        sa.Column("certificate_id", sa.String(length=64), nullable=True),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_device_id"), ["device_id"], unique=False)
        batch_op.create_index("outbox_by_kind", ["kind", "id"], unique=False)

    op.create_table(
        "trust_documents",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("anchors", sa.JSON(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "alert_notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["alerts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("alert_notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alert_notices_alert_id"), ["alert_id"], unique=False)

    op.create_table(
        "allowed_devices",
        sa.Column("device_id", _ORDERED_ID, nullable=False),
        sa.Column("batch", sa.String(length=64), nullable=True),
        sa.Column("group", sa.String(length=64), nullable=True),
        sa.Column("tags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("certificate_id", sa.String(length=64), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batches.name"],
        ),
        sa.PrimaryKeyConstraint("device_id"),
    )
    op.create_table(
        "devices",
        sa.Column("device_id", _ORDERED_ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("hardware", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("trust_version", sa.Integer(), nullable=True),
        sa.Column("trust_sent", sa.Integer(), nullable=False),
        sa.Column("batch", sa.String(length=64), nullable=True),
        sa.Column("group", sa.String(length=64), nullable=True),
        sa.Column("tags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reenroll_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batches.name"],
        ),
        sa.PrimaryKeyConstraint("device_id"),
    )
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.create_index("devices_by_batch", ["batch", "state", "device_id"], unique=False)
        batch_op.create_index(
            "devices_by_batch_and_expiry",
            ["batch", "state", "not_after", "device_id"],
            unique=False,
            sqlite_where=sa.text("not_after IS NOT NULL"),
            postgresql_where=sa.text("not_after IS NOT NULL"),
        )
        batch_op.create_index(
            "devices_by_expiry",
            ["state", "not_after", "device_id"],
            unique=False,
            sqlite_where=sa.text("not_after IS NOT NULL"),
            postgresql_where=sa.text("not_after IS NOT NULL"),
        )
        batch_op.create_index("devices_by_group", ["group", "state", "device_id"], unique=False)
        batch_op.create_index(
            "devices_by_group_and_expiry",
            ["group", "state", "not_after", "device_id"],
            unique=False,
            sqlite_where=sa.text("not_after IS NOT NULL"),
            postgresql_where=sa.text("not_after IS NOT NULL"),
        )
        batch_op.create_index("devices_by_state", ["state", "device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_devices_trust_sent"), ["trust_sent"], unique=False)

    op.create_table(
        "revocation_lists",
        sa.Column("authority_id", sa.String(length=64), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("this_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authority_id"],
            ["authorities.authority_id"],
        ),
        sa.PrimaryKeyConstraint("authority_id", "partition"),
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("certificate_id", sa.String(length=64), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("device_id", _ORDERED_ID, nullable=True),
        sa.Column("common_name", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("issuer_id", sa.String(length=64), nullable=True),
        sa.Column("crl_partition", sa.Integer(), nullable=True),
        sa.Column("batch", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("api_role", sa.String(length=16), nullable=True),
        sa.Column("pem", sa.String(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revocation_reason", sa.String(), nullable=True),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["batches.name"],
        ),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.device_id"],
        ),
        sa.ForeignKeyConstraint(
            ["issuer_id"],
            ["authorities.authority_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("certificate_id"),
        sa.UniqueConstraint("serial"),
    )
    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.create_index("certificates_by_batch", ["batch", "recorded_at"], unique=False)
        batch_op.create_index("certificates_by_expiry", ["state", "not_after", "id"], unique=False)
        batch_op.create_index("certificates_by_issuer", ["issuer_id", "state", "id"], unique=False)
        batch_op.create_index(
            "certificates_by_look",
            ["look_at"],
            unique=False,
            sqlite_where=sa.text("look_at IS NOT NULL"),
            postgresql_where=sa.text("look_at IS NOT NULL"),
        )
        batch_op.create_index(
            "certificates_by_revocation",
            ["revoked_at"],
            unique=False,
            sqlite_where=sa.text("revoked_at IS NOT NULL"),
            postgresql_where=sa.text("revoked_at IS NOT NULL"),
        )
        batch_op.create_index("certificates_by_state", ["state", "id"], unique=False)
        batch_op.create_index(
            "certificates_of_others",
            ["role", "id"],
            unique=False,
            sqlite_where=sa.text("role <> 'device'"),
            postgresql_where=sa.text("role <> 'device'"),
        )
        batch_op.create_index(
            "certificates_of_people",
            ["common_name"],
            unique=False,
            sqlite_where=sa.text("api_role IS NOT NULL"),
            postgresql_where=sa.text("api_role IS NOT NULL"),
        )
        batch_op.create_index(
            "certificates_of_the_cloud",
            ["role"],
            unique=False,
            sqlite_where=sa.text("role IN ('broker', 'service')"),
            postgresql_where=sa.text("role IN ('broker', 'service')"),
        )
        batch_op.create_index(batch_op.f("ix_certificates_device_id"), ["device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_certificates_key_digest"), ["key_digest"], unique=False)
        batch_op.create_index(
            "one_active_certificate",
            ["device_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('active')"),
            postgresql_where=sa.text("state IN ('active')"),
        )
        batch_op.create_index(
            "one_pending_certificate",
            ["device_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('recorded', 'issued')"),
            postgresql_where=sa.text("state IN ('recorded', 'issued')"),
        )

    op.create_table(
        "claims",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device_id", _ORDERED_ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=True),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.device_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("claims", schema=None) as batch_op:
        batch_op.create_index("claims_by_state", ["state", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_claims_device_id"), ["device_id"], unique=False)
        batch_op.create_index(
            "one_waiting_claim",
            ["device_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('waiting')"),
            postgresql_where=sa.text("state IN ('waiting')"),
        )

    op.create_table(
        "device_tags",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.Column("device_id", _ORDERED_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.device_id"],
        ),
        sa.PrimaryKeyConstraint("key", "value", "device_id"),
    )
    with op.batch_alter_table("device_tags", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_tags_device_id"), ["device_id"], unique=False)

    op.create_table(
        "rotations",
        sa.Column("device_id", _ORDERED_ID, nullable=False),
        sa.Column("rotation_id", _ORDERED_ID, nullable=False),
        sa.Column("asked_as", sa.String(length=64), nullable=True),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("initiator", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("old_key", sa.Integer(), nullable=False),
        sa.Column("new_key", sa.Integer(), nullable=True),
        sa.Column("campaign_id", _ORDERED_ID, nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("repeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaigns.campaign_id"],
        ),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.device_id"],
        ),
        sa.ForeignKeyConstraint(
            ["new_key"],
            ["certificates.id"],
        ),
        sa.ForeignKeyConstraint(
            ["old_key"],
            ["certificates.id"],
        ),
        sa.PrimaryKeyConstraint("device_id", "rotation_id"),
    )
    with op.batch_alter_table("rotations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rotations_new_key"), ["new_key"], unique=False)
        batch_op.create_index(
            "one_open_rotation",
            ["device_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('requested', 'accepted', 'issued', 'staged', 'committing')"),
            postgresql_where=sa.text("state IN ('requested', 'accepted', 'issued', 'staged', 'committing')"),
        )
        batch_op.create_index(
            "rotations_by_campaign",
            ["campaign_id", "state", "device_id", "rotation_id"],
            unique=False,
            sqlite_where=sa.text("campaign_id IS NOT NULL"),
            postgresql_where=sa.text("campaign_id IS NOT NULL"),
        )
        batch_op.create_index(
            "rotations_by_campaign_and_time",
            ["campaign_id", "created_at"],
            unique=False,
            sqlite_where=sa.text("campaign_id IS NOT NULL"),
            postgresql_where=sa.text("campaign_id IS NOT NULL"),
        )
        batch_op.create_index(
            "rotations_by_repeat",
            ["repeat_at"],
            unique=False,
            sqlite_where=sa.text("repeat_at IS NOT NULL"),
            postgresql_where=sa.text("repeat_at IS NOT NULL"),
        )
        batch_op.create_index("rotations_by_state", ["state", "device_id", "rotation_id"], unique=False)
