# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Alerts as signed HTTP requests.

The header ``X-Fleetpki-Signature`` is ``sha256=`` and the HMAC-SHA256 in hex, under the shared secret, of the
header ``X-Fleetpki-Timestamp`` (seconds since 1970), a dot, and the body.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Sequence

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from fleetpki.monitoring.news import DeliveryError, News

_TIMEOUT_S = 10.0
_ATTEMPTS = 3


class Webhook:
    """Posts to a URL."""

    def __init__(self, url: str, secret: bytes, first_pause_s: float = 1.0) -> None:
        """Sign with ``secret``; pauses between attempts grow from the first one."""
        self._url = url
        self._secret = secret
        self._first_pause_s = first_pause_s

    async def tell(self, news: Sequence[News]) -> None:
        """Post all news in one request."""
        body = json.dumps({"alerts": [each.to_json() for each in news]}).encode()
        attempts = AsyncRetrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(self._first_pause_s, max=_TIMEOUT_S),
            retry=retry_if_exception_type(httpx.HTTPError),
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    await self._post(body)
        except httpx.HTTPError as error:
            raise DeliveryError(f"{self._url}: {error or type(error).__name__}") from error

    async def _post(self, body: bytes) -> None:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Fleetpki-Timestamp": timestamp,
            "X-Fleetpki-Signature": signature(self._secret, timestamp, body),
        }
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            response = await client.post(self._url, content=body, headers=headers)
        response.raise_for_status()


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """What the receiver compares with the header."""
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
