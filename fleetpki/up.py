# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""``fleetpki up``: the broker, the verdicts it asks for, the services and the web, in the foreground."""

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvloop

from fleetpki import lifecycle
from fleetpki.broker.configuration import VERDICT_SOCKET
from fleetpki.broker.process import Anchors, Mosquitto
from fleetpki.broker.verdicts import Judge, verdict_process
from fleetpki.child import ChildProcess
from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Context, Verdict, authorities
from fleetpki.lifecycle.revocation_lists import publish_due
from fleetpki.monitoring.rounds import keep_watch
from fleetpki.mqtt.worker import Worker
from fleetpki.registry.models import AuthorityKind
from fleetpki.tasks import until_first_ends
from fleetpki.web.doors import Door, open_doors

log = logging.getLogger(__name__)

#: How often revocation lists are looked at; one is signed anew when something was revoked, or it grows old.
CRL_PERIOD_S = 10.0


def up(fleet: Fleet, announce: Callable[[], None]) -> None:
    """Run the fleet until SIGINT or SIGTERM; ``announce`` is called once when everything is ready.

    FleetError when a part cannot start, or ends by itself.
    """
    fleet.check_registry()
    mosquitto = Mosquitto(fleet.layout, fleet.settings, lambda: _anchors(fleet))
    with _only_instance(fleet.layout.run / "up.lock"):
        mosquitto.check()
        _allow_many_connections()
        with (
            open_doors(fleet.settings) as doors,
            verdict_process(fleet.layout.run / VERDICT_SOCKET, lambda: _judge(fleet)) as verdicts,
            _web(fleet, doors) as web,
            _helpers(fleet) as helpers,
        ):
            uvloop.run(_run(fleet, [verdicts, *web, *helpers], mosquitto, announce))


@contextlib.contextmanager
def _helpers(fleet: Fleet) -> Iterator[list[ChildProcess]]:
    """Workers beside the main process's own, which share the requests with it."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                ChildProcess("worker", lambda: Worker(fleet.context, fleet.service_bus()).run())
            )
            for _ in range(fleet.settings.process_count - 1)
        ]


def _web(
    fleet: Fleet, doors: Mapping[Door, socket.socket]
) -> contextlib.AbstractContextManager[list[ChildProcess]]:
    if not doors:
        return contextlib.nullcontext([])
    from fleetpki.web.listeners import web_processes  # takes its time, and most commands do without

    return web_processes(fleet, doors)


async def _run(
    fleet: Fleet, children: Sequence[ChildProcess], mosquitto: Mosquitto, announce: Callable[[], None]
) -> None:
    stop = _stop_signal()
    worker = Worker(fleet.context, fleet.service_bus(), fleet.settings.outbox_poll_ms / 1000)
    await mosquitto.start()
    try:
        await until_first_ends(
            stop.wait(),
            _raise(mosquitto.ended()),
            *(_raise(child.ended()) for child in children),
            worker.run(),
            _every(fleet.settings.housekeeping_s, "housekeeping", lambda: _collect(fleet.context)),
            _every(CRL_PERIOD_S, "publishing revocation lists", lambda: publish_due(fleet.context)),
            keep_watch(fleet),
            _announce_when_ready(worker, announce, stop),
        )
    finally:
        await mosquitto.stop()


def _anchors(fleet: Fleet) -> Anchors:
    context = fleet.context
    return Anchors(
        operational=authorities.anchors(context, AuthorityKind.ROOT, AuthorityKind.ISSUING),
        bootstrap=authorities.anchors(context, AuthorityKind.BOOTSTRAP),
    )


def _judge(fleet: Fleet) -> Judge:
    context = fleet.context
    afterwards = ThreadPoolExecutor(1, "possession")  # the broker waits for a verdict, so that one only reads

    def judge(certificate_id: str, client_id: str) -> Verdict:
        verdict = lifecycle.verdict(context, certificate_id=certificate_id, client_id=client_id)
        if verdict.allow and verdict.unproven:
            afterwards.submit(_note_possession, context, certificate_id)
        elif verdict.is_claim:
            afterwards.submit(_note_claim, context, client_id, certificate_id)
        return verdict

    return judge


def _note_possession(context: Context, certificate_id: str) -> None:
    try:
        lifecycle.prove_possession(context, certificate_id)
    except Exception:
        log.exception("a connection was not noted; the device's next one will be")


def _note_claim(context: Context, device_id: str, certificate_id: str) -> None:
    try:
        lifecycle.record_claim(context, device_id, certificate_id)
    except Exception:
        log.exception("a claim to be %s was not noted; the next one will be", device_id)


async def _announce_when_ready(worker: Worker, announce: Callable[[], None], stop: asyncio.Event) -> None:
    await worker.ready.wait()
    announce()
    await stop.wait()


async def _raise(ending: Coroutine[Any, Any, FleetError]) -> None:
    raise await ending


async def _every(period_s: float, what: str, work: Callable[[], object]) -> None:
    """Do something in a thread, again and again, whatever happens."""
    while True:
        try:
            await asyncio.to_thread(work)
        except Exception:
            log.exception("%s failed; it is tried again in %s s", what, period_s)
        await asyncio.sleep(period_s)


def _collect(context: Context) -> None:
    if collected := lifecycle.collect_unactivated(context):
        log.info("ended %d certificates, rotations and OCSP signers whose time was over", collected)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@contextlib.contextmanager
def _only_instance(path: Path) -> Iterator[None]:
    """Hold a lock that a second ``up`` of the fleet runs into; the kernel drops it should we be killed.

    A record lock, because that one is ours alone: child processes do not inherit it.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetError("this fleet is up already", "stop the other 'fleetpki up' first", 4) from None
        yield
    finally:
        os.close(lock)


def _allow_many_connections() -> None:
    """Every connection is an open file of Mosquitto, which inherits our limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
