# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""A root on its medium, used only in ceremonies, on a machine that serves nothing.

``root.json``     its name, the fleet's public address, where its key is
``root.crt``      its certificate
``root.key``      its key, encrypted, unless it is on a token
``journal.jsonl`` what it has certified and revoked, each line written before the signature is made
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from fleetpki import files
from fleetpki.errors import FleetError
from fleetpki.pki import keys, profiles
from fleetpki.pki.crl import ListPlan, sign_list
from fleetpki.pki.identifiers import certificate_id
from fleetpki.pki.issuer import Issuer, Plan, Repository, common_name, to_pem
from fleetpki.pki.keys import PrivateKey
from fleetpki.pki.name_constraints import permitted_hosts
from fleetpki.pki.reasons import Revocation, reason_code

LIST_VALIDITY = timedelta(days=400)
"""A ceremony a year signs the next list well before this one is overdue."""


@dataclass(frozen=True)
class RootSettings:
    """What ``root.json`` says."""

    name: str
    public_url: str | None
    key_uri: str

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(self.__dict__, indent=2) + "\n"


class Root:
    """A root, opened for a ceremony."""

    def __init__(self, directory: Path, certificate: x509.Certificate, key: PrivateKey) -> None:
        """Open the root in a directory with its key."""
        self._directory = directory
        self.settings = read_settings(directory)
        url = self.settings.public_url
        self._issuer = Issuer(
            certificate, key, repository=None if url is None else Repository(url, self.settings.name)
        )
        self._key = key

    @property
    def certificate(self) -> x509.Certificate:
        """Its own certificate."""
        return self._issuer.certificate

    def adopt(self, certificate: x509.Certificate, now: datetime) -> None:
        """Enter a certificate into the journal that was made together with this root."""
        serial = f"{certificate.serial_number:x}"
        self._note("certified", now, serial=serial, common_name=common_name(certificate))

    def certify_issuing(self, csr: x509.CertificateSigningRequest, now: datetime) -> x509.Certificate:
        """Certify an issuing authority: its key, its common name and the hosts it asks for."""
        names = [str(each.value) for each in csr.subject if each.oid == x509.NameOID.COMMON_NAME]
        if not csr.is_signature_valid or len(names) != 1:
            raise FleetError("the request has no valid signature, or not one common name", exit_code=2)
        constraints = csr.extensions.get_extension_for_class(x509.NameConstraints).value
        public_key, _ = keys.accept(csr.public_key())
        plan = self._issuer.plan(
            profiles.ISSUING, names[0], public_key, now, permitted_hosts=permitted_hosts(constraints)
        )
        return self._sign(plan, now)

    def certify_root(self, other: x509.Certificate, now: datetime) -> x509.Certificate:
        """Certify the key of a new root, so that who trusts this one can verify what that one signs."""
        public_key, _ = keys.accept(other.public_key())
        plan = self._issuer.plan(profiles.CROSS, common_name(other), public_key, now)
        return self._sign(plan, now)

    def revoke(self, serial: int, reason: str, now: datetime) -> None:
        """Note that a certificate of this root is revoked; the next list tells."""
        if not any(entry["serial"] == f"{serial:x}" for entry in self._journal("certified")):
            raise FleetError(f"this root certified no {serial:x}", "see its journal.jsonl", exit_code=2)
        self._note("revoked", now, serial=f"{serial:x}", reason=reason)

    def revocation_list(self, now: datetime) -> bytes:
        """Sign the list of what was revoked."""
        plan = ListPlan(
            number=int(now.timestamp()),
            this_update=now.replace(microsecond=0),
            next_update=now.replace(microsecond=0) + LIST_VALIDITY,
        )
        self._note("listed", now, number=plan.number)
        revoked = {
            entry["serial"]: Revocation(
                int(entry["serial"], 16), datetime.fromisoformat(entry["at"]), reason_code(entry["reason"])
            )
            for entry in self._journal("revoked")
        }
        return sign_list(self._issuer, plan, revoked.values())

    def trust_document(self, version: int, anchors: Sequence[x509.Certificate]) -> dict[str, Any]:
        """Sign new trust anchors for devices that trust this root (docs/protocol.md, "Trust anchors")."""
        ids = "".join(f"{certificate_id(anchor)}\n" for anchor in anchors)
        text = f"fleetpki-trust-anchors\n{version}\n{ids}".encode()
        signature = keys.sign(self._key, text, hashes.SHA256())
        return {
            "version": version,
            "anchors": [to_pem(anchor) for anchor in anchors],
            "signature": base64.b64encode(signature).decode("ascii"),
        }

    def _sign(self, plan: Plan, now: datetime) -> x509.Certificate:
        self._note("certified", now, serial=f"{plan.serial:x}", common_name=plan.common_name)
        return self._issuer.sign(plan)

    def _note(self, action: str, now: datetime, **facts: object) -> None:
        files.append_line(self._directory / "journal.jsonl", _line(action, now, **facts))

    def _journal(self, action: str) -> Iterator[dict[str, Any]]:
        for line in (self._directory / "journal.jsonl").read_text().splitlines():
            entry = json.loads(line)
            if entry["action"] == action:
                yield entry


def read_settings(directory: Path) -> RootSettings:
    """The settings of the root in a directory."""
    try:
        return RootSettings(**json.loads((directory / "root.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise FleetError(f"no root in {directory}: {error}", "name its directory", exit_code=2) from error


def write_root(directory: Path, settings: RootSettings, certificate: x509.Certificate, now: datetime) -> None:
    """Write a new root's files into an empty directory; its key is there, or on a token, already."""
    files.write(directory / "root.json", settings.to_json(), mode=0o600)
    files.write(directory / "root.crt", to_pem(certificate), mode=0o644)
    files.append_line(directory / "journal.jsonl", _line("made", now))
    files.sync_directory(directory)


def load(directory: Path, key: PrivateKey) -> Root:
    """Open a root with its key."""
    certificate = x509.load_pem_x509_certificate((directory / "root.crt").read_bytes())
    return Root(directory, certificate, key)


def _line(action: str, now: datetime, **facts: object) -> str:
    return json.dumps({"at": now.isoformat(timespec="seconds"), "action": action, **facts})
