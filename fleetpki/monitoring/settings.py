# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who is told of alerts: the section ``[alerts]`` of ``fleet.toml``. Secrets are in files of their own."""

import json
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LOG, WEBHOOK, MAIL = "log", "webhook", "mail"


class AlertSettings(BaseModel):
    """Where alerts go, besides the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    webhook_secret_file: Path | None = None
    smtp_host: str | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_starttls: bool = True
    smtp_ca_file: Path | None = None
    smtp_user: str | None = None
    smtp_password_file: Path | None = None
    mail_from: str | None = None
    mail_to: list[str] = []

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.webhook_url and not self.webhook_secret_file:
            raise ValueError("webhook_url needs webhook_secret_file: messages are signed")
        if self.smtp_host and not (self.mail_from and self.mail_to):
            raise ValueError("smtp_host needs mail_from and mail_to")
        if bool(self.smtp_user) != bool(self.smtp_password_file):
            raise ValueError("smtp_user and smtp_password_file belong together")
        if self.smtp_user and not self.smtp_starttls:
            raise ValueError("smtp_user needs smtp_starttls: passwords are not sent in the clear")
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """The ways alerts go."""
        wanted = ((LOG, True), (WEBHOOK, self.webhook_url), (MAIL, self.smtp_host))
        return tuple(name for name, is_set in wanted if is_set)

    def to_toml(self) -> str:
        """The section as text; what is not set is there as a comment."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        lines = [
            f"{name} = {json.dumps(values[name])}" if name in values else f"# {name} ="
            for name in type(self).model_fields
        ]
        return "\n".join(["[alerts]", *lines])
