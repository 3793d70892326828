# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates per second from CSR, recorded durably: through EST and MQTT, against cfssl and step-ca."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import func, select

from bench import golang
from bench.cloud import bootstrap_tls, make_fleet, up
from bench.csrs import make_csrs
from bench.load import Request, Target, put_load
from bench.mqtt import Session
from bench.peers import Cfssl, StepCa
from bench.report import Figure
from fleetpki.fleet import Fleet
from fleetpki.registry.database import reading
from fleetpki.registry.models import LIVE_CERTIFICATE, Certificate, Role

_CONNECTIONS = 64
_SESSIONS = 1000
_EST_PATH = "/.well-known/est/simpleenroll"


def measure(scratch: Path, seconds: int) -> list[Figure]:
    """Our two doors against each peer this machine has."""
    build = scratch.parent
    fleet = make_fleet(scratch / "issuing")
    csrs = make_csrs(seconds * 4000, "est")
    with up(fleet):
        est = put_load(
            _est(fleet), _est_requests(csrs), connections=_CONNECTIONS, seconds=seconds, scratch=build
        )
        mqtt = asyncio.run(_mqtt(fleet, make_csrs(_SESSIONS, "mqtt")))
    _check_registry(fleet, at_least=_SESSIONS)
    peers: dict[str, float] = {}
    if Cfssl.installed():
        cfssl = Cfssl(scratch / "cfssl")
        with cfssl.signing() as target:
            peers[cfssl.name] = put_load(
                target, cfssl.requests(csrs), connections=_CONNECTIONS, seconds=seconds, scratch=build
            )
    if StepCa.installed():
        authority = fleet.layout.ca
        step = StepCa(
            scratch / "step",
            golang.build("step_ca", build),
            authority / "root.crt",
            authority / "issuing.crt",
            authority / "issuing.key",
        )
        with step.signing() as target:
            peers[step.name] = put_load(
                target, step.requests(csrs), connections=_CONNECTIONS, seconds=seconds, scratch=build
            )
    doors = (("certificates through EST", est), ("certificates through MQTT", mqtt))
    return [
        Figure(name, ours, "1/s", peer, theirs) for name, ours in doors for peer, theirs in peers.items()
    ] or [Figure(name, ours, "1/s", note="no peer installed") for name, ours in doors]


def _est(fleet: Fleet) -> Target:
    folder = fleet.layout.bootstrap
    url, anchors = f"https://127.0.0.1:{fleet.settings.est_port}", folder / "trust_anchors.pem"
    return Target(url, 200, "", anchors, (folder / "bootstrap.crt", folder / "bootstrap.key"))


def _est_requests(csrs: Sequence[tuple[str, str]]) -> list[Request]:
    headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
    return [Request(_EST_PATH, "".join(csr.splitlines(keepends=True)[1:-1]), headers) for _, csr in csrs]


async def _mqtt(fleet: Fleet, csrs: Sequence[tuple[str, str]]) -> float:
    tls, port = bootstrap_tls(fleet), fleet.settings.bootstrap_port
    sessions: dict[str, Session] = {}
    for name, _ in csrs:
        sessions[name] = await Session.open_patiently(port, tls, name)
        await sessions[name].subscribe(f"bootstrap/{name}/enroll/#")
    started = time.perf_counter()
    async with asyncio.timeout(120):
        answers = await asyncio.gather(*(_enroll(sessions[name], name, csr) for name, csr in csrs))
    duration = time.perf_counter() - started
    for session in sessions.values():
        session.close()
    refused = [answer for answer in answers if not answer.endswith("/accepted")]
    if refused:
        raise RuntimeError(f"{len(refused)} enrolments were refused")
    return len(csrs) / duration


async def _enroll(session: Session, name: str, csr: str) -> str:
    request = {"request_id": f"r-{name}", "csr": csr}
    await session.publish(f"bootstrap/{name}/enroll", json.dumps(request).encode())
    return (await session.receive())[0]


def _check_registry(fleet: Fleet, at_least: int) -> None:
    with reading(fleet.sessions) as session:
        query = select(func.count()).where(
            Certificate.role == Role.DEVICE, Certificate.state.in_(LIVE_CERTIFICATE)
        )
        recorded = session.scalar(query) or 0
    if recorded < at_least:
        raise RuntimeError(f"only {recorded} certificates are in the registry")
