# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at what a fleet runs on: broker, verdict service, disk."""

import json
import os
import queue
import shutil
import socket
from pathlib import Path

import paho.mqtt.client as paho
from cryptography import x509
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from fleetpki.broker.configuration import VERDICT_SOCKET
from fleetpki.fleet import Fleet
from fleetpki.lifecycle.health import Finding, Level, level_of
from fleetpki.mqtt.bus import Bus, client_id
from fleetpki.pki.identifiers import certificate_id

_TIMEOUT_S = 5.0
_MEBIBYTE = 2**20


def broker(fleet: Fleet) -> Finding:
    """Whether the broker takes our connection: TLS both ways, and its plugin's consent."""
    bus = fleet.operator_bus()
    where = f"{bus.host} port {bus.port}"
    try:
        reason = _connect(bus)
    except (OSError, queue.Empty) as error:
        return Finding("broker", Level.CRITICAL, f"{where}: {error or 'no answer in time'}")
    if reason.is_failure:
        return Finding("broker", Level.CRITICAL, f"{where}: {reason}")
    return Finding("broker", Level.OK, f"{where} answers")


def verdicts(fleet: Fleet) -> Finding:
    """Whether the verdict service answers as it should for the operator's certificate."""
    try:
        operator = (fleet.layout.services / "operator.crt").read_bytes()
        question = {
            "certificate_id": certificate_id(x509.load_pem_x509_certificate(operator)),
            "client_id": client_id("health"),
        }
        answer = _ask(fleet.layout.run / VERDICT_SOCKET, json.dumps(question).encode() + b"\n")
        allowed = json.loads(answer)["allow"]
    except (OSError, ValueError, KeyError) as error:
        return Finding("verdicts", Level.CRITICAL, f"no verdict: {error}")
    if not allowed:
        return Finding("verdicts", Level.CRITICAL, "the operator's certificate is refused")
    return Finding("verdicts", Level.OK, "answers")


def disk(fleet: Fleet) -> Finding:
    """Whether the registry has space to grow."""
    free = shutil.disk_usage(fleet.layout.directory).free // _MEBIBYTE
    return Finding("disk", level_of(-free, -1024, -200), f"{free} MiB free")


def _connect(bus: Bus) -> ReasonCode:
    answers: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id("health"), protocol=paho.MQTTv5)
    client.tls_set_context(bus.tls_context())

    def on_connect(
        _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _p: Properties | None
    ) -> None:
        answers.put(reason)

    client.on_connect = on_connect
    try:
        client.connect(bus.host, bus.port, clean_start=True)
        client.loop_start()
        return answers.get(timeout=_TIMEOUT_S)
    finally:
        client.disconnect()
        client.loop_stop()


def _ask(path: Path, question: bytes) -> bytes:
    """One question over a Unix socket at a path of any length."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(f"/proc/self/fd/{directory}/{path.name}")
            connection.sendall(question)
            return connection.makefile("rb").readline()
    finally:
        os.close(directory)
