# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The load generator, the same for all: requests made beforehand, kept connections, a thread each."""

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True)
class Request:
    """A POST made beforehand."""

    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Target:
    """A server to put under load."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def connect(self) -> http.client.HTTPConnection:
        """Open one connection, ready for use."""
        if self.tls is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        else:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=self.tls)
        connection.connect()
        return connection


@dataclass(frozen=True)
class Rate:
    """What came of it; durations in seconds."""

    succeeded: int
    failed: int
    duration_s: float
    latencies_s: list[float]

    @property
    def per_second(self) -> float:
        """Successful requests per second."""
        return self.succeeded / self.duration_s

    def latency(self, share: float) -> float:
        """The time within which this share of the requests was answered."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def put_load(
    target: Target,
    requests: Sequence[Request],
    *,
    connections: int,
    seconds: float,
    good: Callable[[int, bytes], bool],
) -> Rate:
    """Send the requests over that many connections until all are sent or the time is up."""
    source: Iterator[Request] = iter(requests)
    lock = threading.Lock()
    latencies: list[float] = []
    failures: list[int] = []
    opened = [target.connect() for _ in range(connections)]
    started = time.perf_counter()

    def work(connection: http.client.HTTPConnection) -> None:
        while time.perf_counter() - started < seconds:
            with lock:
                mine = list(islice(source, 1))
            if not mine:
                return
            request = mine[0]
            sent = time.perf_counter()
            try:
                connection.request("POST", request.path, request.body, request.headers)
                response = connection.getresponse()
                succeeded = good(response.status, response.read())
            except (OSError, http.client.HTTPException):
                connection.close()
                succeeded = False
            if succeeded:
                latencies.append(time.perf_counter() - sent)
            else:
                failures.append(1)

    threads = [threading.Thread(target=work, args=(connection,)) for connection in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    duration = time.perf_counter() - started
    for connection in opened:
        connection.close()
    return Rate(len(latencies), len(failures), duration, latencies)
