# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who gets in when the verdict service answers, is away, is silent, or talks nonsense: plugin and server."""

import asyncio
import contextlib
import json
import shutil
import socket
import socketserver
import stat
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fleetpki.broker import programs
from fleetpki.broker.configuration import BOOTSTRAP_CA, OPERATIONAL_CA, VERDICT_SOCKET, render
from fleetpki.broker.verdicts import Judge, bind, serve
from fleetpki.config import Layout, load_settings
from fleetpki.lifecycle import Verdict
from fleetpki.mqtt.topics import DISCONNECT
from tests.cloud.broker_fixtures import NOT_AUTHORISED, PATIENCE_S, Identity, Peer, await_, make_fleet


def allow(role: str) -> bytes:
    return json.dumps({"allow": True, "role": role, "reason": ""}).encode() + b"\n"


ALLOW = allow("service")
DENY = b'{"allow": false, "role": "service", "reason": "certificate revoked"}\n'


class FakeService:
    """A verdict service that says the same to everyone; None leaves every question unanswered."""

    def __init__(self, path: Path, answer: bytes | None) -> None:
        connections: list[socket.socket] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                connections.append(self.connection)
                while self.rfile.readline():
                    if answer is not None:
                        self.wfile.write(answer)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False

        self._path = path
        self._connections = connections
        self._server = Server(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._path.unlink()


class Bench:
    """A Mosquitto with the plugin, and a verdict service that can be exchanged."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.port = load_settings(layout).service_port
        self.service: FakeService | None = None

    def verdicts(self, answer: bytes | None) -> None:
        """Exchange the verdict service."""
        self.no_verdicts()
        self.service = FakeService(self.layout.run / VERDICT_SOCKET, answer)

    def no_verdicts(self) -> None:
        """Take the verdict service away."""
        if self.service is not None:
            self.service.stop()
        self.service = None

    def peer(self, name: str, client_id: str = "somebody") -> Peer:
        return Peer(self.layout.ca / "root.crt", self.identity(name), client_id, self.port)

    def identity(self, name: str) -> Identity:
        services = self.layout.services
        return Identity(services / f"{name}.crt", services / f"{name}.key")

    def is_let_in(self, name: str, client_id: str = "somebody") -> bool:
        """Whether a holder of this certificate gets in; if not, it must not look like a refusal."""
        peer = self.peer(name, client_id)
        answer = peer.try_connect()
        peer.close()
        assert answer is None or not answer.is_failure, f"told {answer}, though nobody judged it"
        return answer is not None


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    layout = make_fleet(tmp_path)
    configuration = layout.broker / "mosquitto.conf"
    configuration.write_text(render(layout, load_settings(layout), programs.find_plugin()))
    anchors = (layout.ca / "root.crt").read_text() + (layout.ca / "issuing.crt").read_text()
    (layout.broker / OPERATIONAL_CA).write_text(anchors)
    shutil.copy(layout.ca / "bootstrap-ca.crt", layout.broker / BOOTSTRAP_CA)
    bench = Bench(layout)
    with subprocess.Popen(
        [programs.find_mosquitto(), "-c", configuration], cwd=layout.run, stderr=subprocess.DEVNULL
    ) as mosquitto:
        await_(lambda: is_listening(bench.port))
        yield bench
        bench.no_verdicts()
        assert mosquitto.poll() is None, "Mosquitto died"
        mosquitto.terminate()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_verdict_is_followed_and_a_newer_one_counts(bench: Bench) -> None:
    bench.verdicts(ALLOW)
    assert bench.is_let_in("operator")
    bench.verdicts(DENY)
    answer = bench.peer("operator").try_connect()
    assert answer is not None
    assert answer.value == NOT_AUTHORISED


@pytest.mark.parametrize(
    "answer", [None, b"nonsense\n", b"{}\n", b'{"allow": true, "role": "king"}\n', b"x" * 2000]
)
def test_only_the_known_get_in_while_there_is_no_verdict(bench: Bench, answer: bytes | None) -> None:
    bench.verdicts(allow("device"))
    assert bench.is_let_in("operator")
    bench.verdicts(answer)
    assert bench.is_let_in("operator")
    assert not bench.is_let_in("operator", client_id="another-name")
    assert not bench.is_let_in("service")


def test_only_the_known_get_in_while_the_service_is_away(bench: Bench) -> None:
    bench.verdicts(ALLOW)
    assert bench.is_let_in("operator")
    bench.no_verdicts()
    assert bench.is_let_in("operator")
    assert not bench.is_let_in("service")
    bench.verdicts(ALLOW)
    assert bench.is_let_in("service")


def test_the_bootstrap_certificate_is_never_known_for_the_name_may_be_a_devices_by_now(bench: Bench) -> None:
    bench.verdicts(allow("bootstrap"))
    assert bench.is_let_in("operator")
    bench.no_verdicts()
    assert not bench.is_let_in("operator")


def test_who_was_refused_is_not_known_any_more(bench: Bench) -> None:
    bench.verdicts(ALLOW)
    assert bench.is_let_in("operator")
    bench.verdicts(DENY)
    bench.peer("operator").try_connect()
    bench.no_verdicts()
    assert not bench.is_let_in("operator")


def test_who_was_thrown_out_is_not_known_any_more(bench: Bench) -> None:
    """What revoking and suspending send to the broker: it counts while nobody can be asked, too."""
    bench.verdicts(ALLOW)
    assert bench.is_let_in("service")
    with bench.peer("operator") as operator:
        bench.no_verdicts()
        assert bench.is_let_in("service", client_id="again")
        operator.publish(DISCONNECT, {"certificate_id": bench.identity("service").certificate_id})
        assert not bench.is_let_in("service", client_id="once-more")
        assert bench.is_let_in("operator", client_id="other")


@pytest.mark.parametrize("role", ["bootstrap", "service"])
def test_a_live_device_keeps_its_name_even_if_the_verdict_says_otherwise(bench: Bench, role: str) -> None:
    bench.verdicts(allow("device"))
    with bench.peer("service", "sensor-1") as device:
        bench.verdicts(allow(role))
        assert not bench.is_let_in("operator", "sensor-1")
        assert not device.publish("devices/sensor-1/still", b"here").is_failure


def test_a_device_ends_a_bootstrap_session_of_its_name(bench: Bench) -> None:
    bench.verdicts(allow("bootstrap"))
    with bench.peer("operator", "sensor-1") as impostor:
        bench.verdicts(allow("device"))
        assert bench.is_let_in("service", "sensor-1")
        assert impostor.disconnected().is_failure


@contextlib.asynccontextmanager
async def serving(path: Path, judge: Judge) -> AsyncIterator[None]:
    with bind(path) as listening:
        task = asyncio.create_task(serve(listening, judge))
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ask(path: Path, *questions: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.writelines(questions)
    answers = [await asyncio.wait_for(reader.readline(), PATIENCE_S) for _ in questions]
    writer.close()
    return answers


def question(certificate_id: str, client_id: str = "c") -> bytes:
    return json.dumps({"certificate_id": certificate_id, "client_id": client_id}).encode() + b"\n"


def test_the_server_answers_question_after_question(tmp_path: Path) -> None:
    def judge(certificate_id: str, client_id: str) -> Verdict:
        return Verdict(client_id == "good", "device", f"{certificate_id} is {client_id}")

    async def scenario() -> list[bytes]:
        async with serving(tmp_path / "v.sock", judge):
            return await ask(tmp_path / "v.sock", question("a", "good"), question("b", "bad"))

    assert [json.loads(answer) for answer in asyncio.run(scenario())] == [
        {"allow": True, "role": "device", "reason": "a is good"},
        {"allow": False, "role": "device", "reason": "b is bad"},
    ]


def test_without_a_verdict_the_server_hangs_up_and_serves_the_next(tmp_path: Path) -> None:
    def judge(certificate_id: str, _client_id: str) -> Verdict:
        if certificate_id == "bad":
            raise OSError("the registry cannot be read")
        return Verdict(True, "device", "")

    async def scenario() -> None:
        async with serving(tmp_path / "v.sock", judge):
            assert await ask(tmp_path / "v.sock", question("bad")) == [b""]
            assert await ask(tmp_path / "v.sock", b"nonsense\n") == [b""]
            assert json.loads((await ask(tmp_path / "v.sock", question("good")))[0])["allow"]

    asyncio.run(scenario())


def test_the_socket_is_private_replaces_a_stale_one_and_may_lie_deep(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / "v.sock"
    path.parent.mkdir()
    path.write_text("left over")
    with bind(path):
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
