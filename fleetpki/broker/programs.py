# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the two programs the broker is made of: Mosquitto and our plugin for it."""

import os
import shutil
from pathlib import Path

from fleetpki.errors import FleetError

PLUGIN_NAME = "fleetpki_broker.so"
_PACKAGE = Path(__file__).resolve().parent

#: Beside this package when installed; in the build directory of a source checkout.
PLUGIN_PATHS = (_PACKAGE / PLUGIN_NAME, _PACKAGE.parent.parent / "build" / "broker" / PLUGIN_NAME)

#: Distributions put daemons where ordinary users' PATH does not look.
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin")


def find_mosquitto() -> str:
    """Path of the Mosquitto broker."""
    path = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_PATHS]))
    if path is None:
        raise FleetError(
            "Mosquitto is not installed (no 'mosquitto' on PATH)",
            "install it, e.g. 'apt-get install mosquitto', or run 'make setup' in the source checkout",
            exit_code=4,
        )
    return path


def find_plugin() -> Path:
    """Path of the broker plugin."""
    for path in PLUGIN_PATHS:
        if path.is_file():
            return path
    raise FleetError(
        f"the broker plugin is not built (no {PLUGIN_PATHS[-1]})",
        "run 'make build' in the source checkout",
        exit_code=4,
    )
