# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A revocation list of a hundred thousand entries, from the registry, against ``openssl ca -gencrl``."""

import subprocess
import time
from pathlib import Path

from cryptography import x509

from bench.cloud import make_fleet
from bench.filling import certificate_id, device_id, fill
from bench.report import Figure
from fleetpki.fleet import Fleet
from fleetpki.lifecycle import revocation_lists
from fleetpki.registry.models import CertificateState

_REVOCATIONS = 100_000


def measure(scratch: Path, _seconds: int) -> list[Figure]:
    """Sign the list once with each."""
    fleet = make_fleet(scratch / "lists")
    fill(fleet, _REVOCATIONS, CertificateState.REVOKED)
    started = time.perf_counter()
    lists = revocation_lists.publish(fleet.context)
    ours = time.perf_counter() - started
    largest = max((x509.load_der_x509_crl(each.der) for each in lists), key=len)
    assert len(largest) == _REVOCATIONS, len(largest)
    theirs = _openssl(scratch / "openssl", fleet)
    return [
        Figure("list of 100,000 revocations", ours, "s", "openssl ca -gencrl", theirs, more_is_better=False)
    ]


def _openssl(directory: Path, fleet: Fleet) -> float:
    directory.mkdir()
    index = (
        f"R\t301231235959Z\t260101000000Z\t{certificate_id(number)[:38].replace('0', '1').upper()}"
        f"\tunknown\t/CN={device_id(number)}\n"
        for number in range(_REVOCATIONS)
    )
    (directory / "index.txt").write_text("".join(index))
    (directory / "crlnumber").write_text("01\n")
    (directory / "ca.cnf").write_text(
        "[ca]\ndefault_ca = this\n[this]\ndatabase = index.txt\ncrlnumber = crlnumber\n"
        "default_md = sha256\ndefault_crl_days = 7\n"
    )
    authority = fleet.layout.ca
    command: list[str | Path] = ["openssl", "ca", "-gencrl", "-config", "ca.cnf", "-out", "list.pem"]
    command += ["-cert", authority / "issuing.crt", "-keyfile", authority / "issuing.key"]
    started = time.perf_counter()
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return time.perf_counter() - started
