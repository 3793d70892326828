# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The fleet directory: where everything lies, and the settings in ``fleet.toml``."""

import json
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fleetpki.errors import FleetError
from fleetpki.monitoring.settings import AlertSettings

Port = Annotated[int, Field(ge=1, le=65535)]
PortOrOff = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[int, Field(ge=1)]
HttpUrl = Annotated[str, Field(pattern=r"^http://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._/-]*)?$")]
AnyHttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]

#: The services reach the broker of ``fleetpki up`` here, so its certificate always has these names too.
LOOPBACK_NAMES = ("localhost", "127.0.0.1")


#: The settings that are ports.
BROKER_PORTS = ("port", "bootstrap_port", "service_port")
PORTS = (*BROKER_PORTS, "est_port", "api_port", "public_port")

#: More do not write to one SQLite file any faster.
_USUAL_PROCESSES = 4


class Settings(BaseModel):
    """What ``fleet.toml`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: Annotated[list[str], Field(min_length=1)] = list(LOOPBACK_NAMES)
    bind: str = "127.0.0.1"
    port: Port = 8883
    bootstrap_port: Port = 8884
    service_port: Port = 8885
    est_port: PortOrOff = 8446
    api_port: PortOrOff = 8443
    api_bind: str = "127.0.0.1"
    public_port: PortOrOff = 8480
    public_url: HttpUrl | None = None
    ca_passphrase_file: str | None = None
    pkcs11_module: str | None = None
    pkcs11_pin_file: str | None = None
    database_url: str | None = None
    admission_url: AnyHttpUrl | None = None
    processes: Annotated[int, Field(ge=1, le=64)] | None = None
    device_validity_days: Annotated[int, Field(ge=1, le=3650)] = 365
    activation_window_s: Seconds = 3600
    superseded_grace_s: Seconds = 86400
    outbox_poll_ms: Annotated[int, Field(ge=10, le=10_000)] = 100
    housekeeping_s: Seconds = 60
    monitor_s: Seconds = 60
    renewals_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 3000
    alerts: AlertSettings = AlertSettings()

    @field_validator("public_url")
    @classmethod
    def _no_slash_at_the_end(cls, url: str | None) -> str | None:
        return url and url.rstrip("/")

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        used = [getattr(self, name) for name in PORTS if getattr(self, name)]
        if len(set(used)) < len(used):
            raise ValueError(f"{', '.join(PORTS)} must be different")
        return self

    @property
    def process_count(self) -> int:
        """How many processes share the work of a service: one per processor, if nothing is set."""
        return self.processes or min(len(os.sched_getaffinity(0)), _USUAL_PROCESSES)

    def to_toml(self) -> str:
        """The settings as a commented file."""
        values = self.model_dump(mode="json", exclude_none=True)
        texts = {name: json.dumps(values.get(name)) for name in type(self).model_fields if name != "alerts"}
        text = TEMPLATE.format_map({**texts, "alerts": self.alerts.to_toml()})
        return re.sub(r"^(\w+) = null$", r"# \1 =", text, flags=re.MULTILINE)


TEMPLATE = """\
# Settings of this fleet. "fleetpki up" reads them when it starts.

# Names and addresses devices reach the broker at. They are in the broker's certificate:
# adding one here needs a new certificate too.
hosts = {hosts}

# Address the listeners for devices bind to; "0.0.0.0" is every IPv4 address of this machine.
bind = {bind}

# Ports: for devices with their own certificate, for devices that enrol with the bootstrap certificate,
# and for our services (on 127.0.0.1 only).
port = {port}
bootstrap_port = {bootstrap_port}
service_port = {service_port}

# Ports for HTTP; 0 turns that part off. EST for devices, and CRLs, OCSP and CA certificates for everybody,
# are on "bind" too. The API and the dashboard are for operators.
est_port = {est_port}
public_port = {public_port}
api_port = {api_port}
api_bind = {api_bind}

# Where the world reaches our HTTP port, e.g. "http://pki.example.com". New certificates carry it as the
# address of their revocation list and of OCSP: keep it for as long as certificates that carry it are valid.
public_url = {public_url}

# The keys of the authorities here: what their files are encrypted with, or the token they are on. These
# files are kept outside the fleet directory; "$CREDENTIALS_DIRECTORY/name" is a credential of systemd.
ca_passphrase_file = {ca_passphrase_file}
pkcs11_module = {pkcs11_module}
pkcs11_pin_file = {pkcs11_pin_file}

# The registry, unless it is registry.db: postgresql://user@host/name (a password goes to ~/.pgpass).
database_url = {database_url}

# Who may veto an enrolment: this address is asked about each, as JSON; see docs/protocol.md.
admission_url = {admission_url}

# How many processes serve each of: requests over MQTT, EST, and the HTTP port for everybody. Without a value
# as many as there are processors, up to 4.
processes = {processes}

# How long a device certificate is valid.
device_validity_days = {device_validity_days}

# A certificate that is not used within this time of its issue is revoked.
activation_window_s = {activation_window_s}

# A superseded certificate, refused at once, is revoked after this time.
superseded_grace_s = {superseded_grace_s}

# How often commands for devices are looked for, and how often overdue certificates are collected.
outbox_poll_ms = {outbox_poll_ms}
housekeeping_s = {housekeeping_s}

# How often the monitor looks for what it has to do, and how many devices it asks to renew, or to
# answer again, at most in a minute.
monitor_s = {monitor_s}
renewals_per_minute = {renewals_per_minute}

# Who is told of alerts, besides the log: a URL that gets signed requests, and people by e-mail. Secrets are
# in files, readable by this fleet's user only.
{alerts}
"""


@dataclass(frozen=True)
class Layout:
    """The paths in a fleet directory."""

    directory: Path

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.directory / "fleet.toml"

    @property
    def registry(self) -> Path:
        """The registry's database."""
        return self.directory / "registry.db"

    @property
    def ca(self) -> Path:
        """Directory of the authorities; the root's key is not in it."""
        return self.directory / "ca"

    @property
    def broker(self) -> Path:
        """Directory of the broker: its certificate, and at run time its configuration and log."""
        return self.directory / "broker"

    @property
    def services(self) -> Path:
        """Directory of the services' and the operator's certificates."""
        return self.directory / "services"

    @property
    def bootstrap(self) -> Path:
        """Directory of what goes into a device at the factory."""
        return self.directory / "bootstrap"

    @property
    def run(self) -> Path:
        """Directory of what exists only while the fleet is up."""
        return self.directory / "run"


def load_settings(layout: Layout) -> Settings:
    """Read ``fleet.toml``; what is wrong with it is a FleetError that names file and setting."""
    path = layout.settings
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise FleetError(
            f"no fleet in {layout.directory}",
            "make one with 'fleetpki init', or name another directory with --dir",
            exit_code=2,
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FleetError(f"{path} is not valid TOML: {error}", "correct the file", exit_code=2) from error
    except ValidationError as error:
        raise FleetError(f"{path}: {first_problem(error)}", "correct the file", exit_code=2) from error


def first_problem(error: ValidationError) -> str:
    """The first thing wrong with some settings: which, and why."""
    problem = error.errors(include_url=False)[0]
    return ": ".join([*(str(part) for part in problem["loc"]), problem["msg"]])
