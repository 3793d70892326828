# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into requests: bodies, and texts, times and numbers with bounds."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

from fleetpki.inputs import MAX_NUMBER, MAX_REASON, PRINTABLE


class Body(BaseModel):
    """What a request carries. A field nobody knows is refused: it is mostly a known one, mistyped."""

    model_config = ConfigDict(extra="forbid")


def example(**fields: Any) -> ConfigDict:
    """The ``model_config`` of a body that is described with an example."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


_ID = r"^[A-Za-z0-9][A-Za-z0-9_-]{2,63}$"

Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PRINTABLE)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=MAX_REASON, pattern=PRINTABLE)]
AuthorityName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Pem = Annotated[str, StringConstraints(min_length=1, max_length=8192)]

#: For examples.
CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMIH...\n-----END CERTIFICATE REQUEST-----\n"

DeviceId = Annotated[str, Path(pattern=_ID, description="The device id")]
CertificateId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The certificate id")]
RotationId = Annotated[
    str, Path(min_length=1, max_length=64, pattern=PRINTABLE, description="The rotation id")
]

#: A row's number in the registry.
After = Annotated[int | None, Query(ge=1, le=MAX_NUMBER, description="`next` of the page before")]
AfterName = Annotated[
    str | None, Query(max_length=128, pattern=PRINTABLE, description="`next` of the page before")
]
Limit = Annotated[int, Query(ge=1, le=500, description="Entries on a page")]
NameFilter = Annotated[str | None, Query(max_length=64, pattern=PRINTABLE)]
TagFilter = Annotated[
    str | None,
    Query(pattern=r"^[^:\x00-\x1f\x7f-\x9f]{1,64}:[^\x00-\x1f\x7f-\x9f]{0,64}$", description="key:value"),
]
