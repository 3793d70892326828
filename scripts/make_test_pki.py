#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Make a TEST fleet, and put what a device needs from the factory where builds look for it.

  certs/bootstrap.crt, bootstrap.key   the certificate devices enrol with, shared by all of them
  certs/trust_anchors.pem              the root certificate devices trust
  certs/fleet/                         the cloud: run it with  fleetpki up --dir certs/fleet
  certs/fleet-root/                    the root key and, beside it, its random passphrase

The firmware embeds the first three files; the Linux agent reads them from certs/ by default. It is the same
code as `fleetpki init`, with one difference that makes it unfit for production: there the passphrase is yours
and the root directory goes to a safe place; here both lie side by side.
"""

import argparse
import secrets
import shutil
import sys
from pathlib import Path
from typing import NoReturn

try:
    from fleetpki import fleet
    from fleetpki.config import LOOPBACK_NAMES, Layout, Settings
    from fleetpki.errors import FleetError
except ImportError as error:
    sys.exit(f"make_test_pki: {error}. Run `make setup`, then use .venv/bin/python {sys.argv[0]}")

CERTS = Path(__file__).resolve().parent.parent / "certs"
DEVICE_FILES = ("bootstrap.crt", "bootstrap.key", "trust_anchors.pem")


def main() -> None:
    """Run the command line."""
    arguments = parse_arguments()
    directory: Path = arguments.directory
    made = [directory / name for name in (*DEVICE_FILES, "fleet", "fleet-root")]
    existing = [path for path in made if path.exists()]
    if existing and not arguments.force:
        end(
            f"{existing[0]} is there already; --force replaces it, "
            "and devices made with the old one cannot connect any more"
        )
    try:
        for path in existing:
            remove(path)
        make(directory, arguments.host)
    except FleetError as error:
        end(f"{error.message}; {error.hint}")
    except OSError as error:
        end(f"{error.filename}: {error.strerror}")
    print(f"make_test_pki: made a TEST PKI in {directory}; next: fleetpki up --dir {directory / 'fleet'}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        help="name or address devices reach the broker at; repeatable (default: this machine only)",
    )
    parser.add_argument(
        "--directory", type=Path, default=CERTS, help="where everything goes (default: certs)"
    )
    parser.add_argument("--force", action="store_true", help="replace a PKI that is there")
    return parser.parse_args()


def make(directory: Path, hosts: list[str]) -> None:
    """Make the fleet and copy the device's part of it."""
    directory.mkdir(parents=True, exist_ok=True)
    passphrase = secrets.token_urlsafe(32)
    settings = Settings(hosts=[*hosts, *LOOPBACK_NAMES], bind="0.0.0.0" if hosts else "127.0.0.1")  # noqa: S104 - asked for
    fleet.create(directory / "fleet", directory / "fleet-root", passphrase.encode(), settings)
    passphrase_file = directory / "fleet-root" / "passphrase.txt"
    passphrase_file.touch(mode=0o600)
    passphrase_file.write_text(passphrase + "\n")
    for name in DEVICE_FILES:
        shutil.copy(Layout(directory / "fleet").bootstrap / name, directory / name)  # with its permissions


def remove(path: Path) -> None:
    """Remove a file or a directory."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def end(message: str) -> NoReturn:
    """Leave with a message and the exit code for refusals."""
    print(f"make_test_pki: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
