# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The load generator, the same for all: requests made beforehand, kept connections. It is written in Go, to
leave the processors to what is measured."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.golang import build


@dataclass(frozen=True)
class Request:
    """A POST made beforehand."""

    path: str
    body: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Target:
    """A server to put under load, and what a good answer is like."""

    url: str
    good_status: int
    good_text: str = ""
    anchors: Path | None = None
    """What its certificate is verified with."""
    credential: tuple[Path, Path] | None = None
    """Who asks: certificate and key."""


def put_load(
    target: Target, requests: Sequence[Request], *, connections: int, seconds: int, scratch: Path
) -> float:
    """Good answers per second to these requests, sent until all are or the time is up."""
    files = [target.anchors, *(target.credential or ())] if target.anchors else []
    sent = subprocess.run(
        [
            build("load_generator", scratch),
            target.url,
            *(str(each) for each in (connections, seconds, target.good_status)),
            target.good_text,
            *(str(file) for file in files),
        ],
        input="".join(json.dumps(asdict(request)) + "\n" for request in requests),
        capture_output=True,
        check=True,
        text=True,
    )
    answers = json.loads(sent.stdout)
    if answers["failed"] > answers["succeeded"] / 100:
        raise RuntimeError(f"{answers['failed']} of {len(requests)} requests failed")
    return float(answers["succeeded"] / answers["duration_s"])
