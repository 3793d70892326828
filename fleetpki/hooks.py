# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Admission rules of the operator's own: Python entry points of the group ``fleetpki.admission``, and a URL.

They are asked last, about devices our own rules would admit, and may only refuse. One that fails refuses.
"""

import logging
from dataclasses import asdict
from importlib.metadata import entry_points

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleetpki.errors import Code, Rejected, Unavailable
from fleetpki.lifecycle.terms import Applicant, Hook

log = logging.getLogger(__name__)

GROUP = "fleetpki.admission"
TIMEOUT_S = 3.0
MAX_ANSWER = 4096
_RETRY_AFTER_S = 30


class Answer(BaseModel):
    """What the URL answers: JSON with status 200."""

    model_config = ConfigDict(strict=True, extra="ignore")

    allow: bool
    code: str = Code.NOT_ALLOWED
    message: str = Field(default="refused by a rule of the operator's", max_length=512)
    retry_after_s: int | None = Field(default=None, ge=1)


def admission_hooks(url: str | None) -> tuple[Hook, ...]:
    """All hooks: those installed, by name, and the one at the URL."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    installed = [_guarded(point.name, point.load()) for point in points]
    return (*installed, *([HttpHook(url)] if url is not None else []))


class HttpHook:
    """Posts the applicant as JSON to a URL and does as that says."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        """Ask this URL, over connections that are kept."""
        self._url = url
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, transport=transport)

    def __call__(self, applicant: Applicant) -> None:
        """Raise ``Rejected`` when the URL does not allow it, ``Unavailable`` when it does not say."""
        try:
            response = self._client.post(self._url, json=asdict(applicant))
            response.raise_for_status()
            answer = Answer.model_validate_json(response.content[: MAX_ANSWER + 1])
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("no admission: %s gives no answer: %s", self._url, type(error).__name__)
            raise Unavailable("the operator's rule of admission cannot be asked", _RETRY_AFTER_S) from error
        if not answer.allow:
            code = Code(answer.code) if answer.code in set(Code) else Code.NOT_ALLOWED
            raise Rejected(code, answer.message, answer.retry_after_s)


def _guarded(name: str, hook: Hook) -> Hook:
    def ask(applicant: Applicant) -> None:
        try:
            hook(applicant)
        except Rejected:
            raise
        except Exception as error:
            log.exception("no admission: the rule %s failed", name)
            raise Unavailable("the operator's rule of admission cannot be asked", _RETRY_AFTER_S) from error

    return ask
