# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The programs beside this file that are written in Go, built with nothing but Debian's packages."""

import os
import subprocess
from pathlib import Path


def build(name: str, into: Path) -> Path:
    """A program, built unless it was before."""
    program = into / name
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
    environment["GOCACHE"] = str(into.absolute() / "gocache")
    folder = Path(__file__).with_name(name)
    subprocess.run(["go", "build", "-o", program.absolute(), "."], cwd=folder, env=environment, check=True)
    return program
