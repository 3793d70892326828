# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Enrolments per second with one and with two worker processes on one PostgreSQL."""

import asyncio
import multiprocessing
import time
from pathlib import Path

from bench.cloud import bootstrap_sender, make_fleet
from bench.csrs import make_csrs
from bench.report import Figure
from fleetpki.desk import Desk
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import Application
from tests.cloud.postgres import running_server

_AT_ONCE = 32


def measure(scratch: Path, seconds: int) -> list[Figure]:
    """One worker first; then two share the load, and the database."""
    with running_server(durable=True) as server:
        rates = {}
        for workers in (1, 2):
            database = f"workers_{workers}"
            server.create(database)
            fleet = make_fleet(scratch / database, database_url=server.url(database))
            rates[workers] = _rate(fleet.layout.directory, workers, seconds)
    return [
        Figure(
            "enrolments, two workers on PostgreSQL", rates[2], "1/s", "one worker", rates[1], note="durable"
        )
    ]


def _rate(directory: Path, workers: int, seconds: int) -> float:
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers) as pool:
        jobs = [(directory, f"worker-{number}", seconds) for number in range(workers)]
        return sum(pool.starmap(_enroll, jobs))


def _enroll(directory: Path, prefix: str, seconds: int) -> float:
    fleet = Fleet.open(directory)
    sender = bootstrap_sender(fleet)
    csrs = make_csrs(seconds * 2000, prefix)
    end = time.perf_counter() + seconds

    waiting = iter(csrs)

    async def come(desk: Desk) -> int:
        done = 0
        while time.perf_counter() < end:
            name, csr = next(waiting)
            await desk.enroll(Application(name, sender, name, csr))
            done += 1
        return done

    async def crowd() -> int:
        desk = Desk(fleet.context)
        return sum(await asyncio.gather(*(come(desk) for _ in range(_AT_ONCE))))

    return asyncio.run(crowd()) / seconds
