# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The least MQTT 3.1.1 client that can be opened a thousand times in one process."""

import asyncio
import ssl
from dataclasses import dataclass

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90
_QOS_1 = 0x02
_CLEAN_SESSION = b"\x02"
_KEEP_ALIVE_S = 600


@dataclass
class Session:
    """An open MQTT session."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext, client_id: str) -> "Session":
        """Connect to a listener on this machine."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        session = cls(reader, writer)
        variable = (
            _text("MQTT") + b"\x04" + _CLEAN_SESSION + _KEEP_ALIVE_S.to_bytes(2, "big") + _text(client_id)
        )
        await session._send(_CONNECT, variable)
        kind, body = await session._packet()
        if kind & 0xF0 != _CONNACK or body[1] != 0:
            raise ConnectionError(f"{client_id}: connection refused, code {body[1]}")
        return session

    @classmethod
    async def open_patiently(cls, port: int, tls: ssl.SSLContext, client_id: str) -> "Session":
        """Connect, again if the broker had no verdict in time and closed, as devices do."""
        for _ in range(20):
            try:
                return await cls.open(port, tls, client_id)
            except asyncio.IncompleteReadError:
                await asyncio.sleep(0.1)
        raise ConnectionError(f"{client_id}: the broker keeps closing the connection")

    async def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1 and wait for the answer."""
        await self._send(_SUBSCRIBE, b"\x00\x01" + _text(topic) + b"\x01")
        while (await self._packet())[0] & 0xF0 != _SUBACK:
            pass

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1; the acknowledgement is not waited for."""
        await self._send(_PUBLISH | _QOS_1, _text(topic) + b"\x00\x02" + payload)

    async def receive(self) -> tuple[str, bytes]:
        """The next message, acknowledged: topic and payload."""
        while True:
            kind, body = await self._packet()
            if kind & 0xF0 == _PUBLISH:
                break
        length = int.from_bytes(body[:2], "big")
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if kind & 0x06:
            await self._send(_PUBACK, rest[:2])
            rest = rest[2:]
        return topic, rest

    async def ended(self) -> None:
        """Wait until the broker closes the connection."""
        try:
            while await self.reader.read(4096):
                pass
        except (ConnectionError, ssl.SSLError):
            return

    def close(self) -> None:
        """Close the connection at once."""
        self.writer.transport.abort()

    async def _send(self, kind: int, body: bytes) -> None:
        length, header = len(body), bytearray([kind])
        while True:
            length, digit = length >> 7, length & 0x7F
            header.append(digit | 0x80 if length else digit)
            if not length:
                break
        self.writer.write(bytes(header) + body)
        await self.writer.drain()

    async def _packet(self) -> tuple[int, bytes]:
        kind = (await self.reader.readexactly(1))[0]
        length = shift = 0
        while True:
            digit = (await self.reader.readexactly(1))[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        return kind, await self.reader.readexactly(length)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded
