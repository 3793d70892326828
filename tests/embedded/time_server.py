# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A time server (SNTP, RFC 4330) that says what a test wants it to."""

import contextlib
import errno
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Self

#: Where SNTP clients ask, and where QEMU takes what a guest sends to its host.
ADDRESS = ("127.0.0.1", 123)

#: Leap indicator, version and mode; stratum, poll, precision; root delay and dispersion, reference id;
#: reference, originate, receive and transmit timestamps.
PACKET = struct.Struct("!BBbb3I4Q")
CLIENT, SERVER = 3, 4
VERSION = 4 << 3

#: The reference id of these servers.
TEST = int.from_bytes(b"TEST")

#: From 1900, where NTP begins, to 1970. After 2036 the seconds begin anew (RFC 4330, section 3).
EPOCH_S = 2_208_988_800


def timestamp(seconds: float) -> int:
    """A time as NTP writes it: 32 bits of seconds, 32 of their fraction."""
    return int((seconds + EPOCH_S) * (1 << 32)) % (1 << 64)


def is_somebody_elses() -> bool:
    """Whether the time server that is there is not one of these."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect(ADDRESS)
        for _ in range(3):  # one that is about to end does not answer
            with contextlib.suppress(TimeoutError):
                try:
                    client.send(PACKET.pack(VERSION | CLIENT, *[0] * 10))
                    return int(PACKET.unpack(client.recv(PACKET.size))[6]) != TEST
                except ConnectionRefusedError:
                    return False
    return True


class TimeServer(socketserver.UDPServer):
    """Answers every request, with the truth to begin with."""

    clock: Callable[[], float] = staticmethod(time.time)

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[Self]:
        """A time server where the guests of QEMU find it, as soon as that of another test is gone.

        OSError: it may not be there, or somebody else's is.
        """
        with cls._bound() as server:
            thread = threading.Thread(target=server.serve_forever, name="time server")
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()

    @classmethod
    def _bound(cls) -> Self:
        while True:
            try:
                return cls(ADDRESS, Answer)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or is_somebody_elses():
                    raise
            time.sleep(0.2)

    def say(self, moment: datetime) -> None:
        """Say from now on that time began to run at that moment."""
        began = time.monotonic()
        self.clock = lambda: moment.timestamp() + time.monotonic() - began

    def say_the_truth(self) -> None:
        """Say from now on what time it is."""
        self.clock = time.time


class Answer(socketserver.BaseRequestHandler):
    """The answer to one request."""

    server: TimeServer

    def handle(self) -> None:
        """Answer it, if it is one."""
        request, answers = self.request
        if len(request) < PACKET.size or request[0] & 7 != CLIENT:
            return
        version = request[0] & 0x38
        asked = PACKET.unpack_from(request)[-1]
        now = timestamp(self.server.clock())
        answer = PACKET.pack(version | SERVER, 1, 0, -20, 0, 0, TEST, now, asked, now, now)
        answers.sendto(answer, self.client_address)
