# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The trust anchors devices are to use."""

from datetime import datetime

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from fleetpki.registry.models.base import Base


class TrustDocument(Base):
    """A signed list of trust anchors; the one with the highest version is in force."""

    __tablename__ = "trust_documents"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    anchors: Mapped[list[str]] = mapped_column(JSON)
    signature: Mapped[str]
    created_at: Mapped[datetime]
