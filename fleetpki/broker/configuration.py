# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The Mosquitto configuration of a fleet.

Three listeners trust two different authorities: devices that enrol come in on one that knows the bootstrap
CA only, everyone else on listeners that know root and issuing CA only. Who may connect, and who may do what,
the plugin decides.
"""

import os
import pwd
from pathlib import Path

from fleetpki.config import Layout, Settings

#: Name of the verdict socket, in the directory Mosquitto runs in.
VERDICT_SOCKET = "verdict.sock"

#: The listeners' anchors, in the broker directory: roots and issuing CAs, and bootstrap CAs.
OPERATIONAL_CA, BOOTSTRAP_CA = "operational-ca.pem", "bootstrap-ca.pem"

#: Largest packet that is passed on. Devices must be able to get, and refuse, more than the protocol allows.
MAX_PACKET = 128 * 1024

GENERAL = """\
# Written by "fleetpki up" at each start: change fleet.toml instead.
per_listener_settings false
{user}
plugin {plugin}
plugin_opt_verdict_socket {verdict_socket}
allow_anonymous false
allow_zero_length_clientid false

# Nothing rests in the broker: no disk, no retained messages (one could hold a private key), short memory for
# sessions without a connection.
persistence false
retain_available false
persistent_client_expiration 1h
sys_interval 0

# Bounds, so that one client cannot take the memory of all. Larger packets are refused before they are read.
max_packet_size {max_packet}
max_inflight_messages 20
max_queued_messages 10000
max_queued_bytes {max_queued}
max_keepalive 600
set_tcp_nodelay true

log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""

LISTENER = """
listener {port} {bind}
max_connections {max_connections}
cafile {cafile}
certfile {certfile}
keyfile {keyfile}
require_certificate true
tls_version tlsv1.2
"""


def render(layout: Layout, settings: Settings, plugin: Path) -> str:
    """The text of mosquitto.conf."""
    general = GENERAL.format(
        user=_user_setting(),
        plugin=plugin,
        verdict_socket=VERDICT_SOCKET,
        max_packet=MAX_PACKET,
        max_queued=128 * MAX_PACKET,
    )
    bootstrap = layout.broker / BOOTSTRAP_CA
    operational = layout.broker / OPERATIONAL_CA
    return general + "".join(
        [
            _listener(layout, settings.bootstrap_port, settings.bind, bootstrap, max_connections=2_000),
            _listener(layout, settings.port, settings.bind, operational, max_connections=50_000),
            _listener(layout, settings.service_port, "127.0.0.1", operational, max_connections=100),
        ]
    )


def _user_setting() -> str:
    """Mosquitto started by root would become the user 'mosquitto', who cannot read our keys."""
    return f"user {pwd.getpwuid(0).pw_name}" if os.geteuid() == 0 else "# user: whoever runs fleetpki"


def _listener(layout: Layout, port: int, bind: str, cafile: Path, max_connections: int) -> str:
    return LISTENER.format(
        port=port,
        bind=bind,
        max_connections=max_connections,
        cafile=cafile,
        certfile=layout.broker / "broker.crt",
        keyfile=layout.broker / "broker.key",
    )
