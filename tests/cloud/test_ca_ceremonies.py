# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of the authorities, from a rollover to a change of the root; OpenSSL is the judge."""

import base64
import json
import shutil
import ssl
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from fleetpki.config import Layout
from fleetpki.pki.identifiers import certificate_id
from tests.cloud.broker_fixtures import PASSPHRASE, Outcome, make_fleet, run_cli
from tests.cloud.doubles import make_csr, new_key

HOST = "mqtt.example.com"


@dataclass
class Office:
    """An officer's desk: a fleet, a root on its medium, and files that are carried between them."""

    folder: Path
    layout: Layout

    def ca(self, *args: str | Path) -> Outcome:
        return self.cli("ca", *args)

    def cli(self, *command: str | Path) -> Outcome:
        return run_cli(*command, "--dir", self.layout.directory)

    def at_root(self, command: str, *args: str | Path, root: str = "root") -> Outcome:
        secret = ("--passphrase-file", self.folder / "pass")
        return run_cli("ca", command, *args, "--root-dir", self.folder / root, *secret)

    def authorities(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.ca("list", "--json").data}

    def roll_over(self, name: str, *, root: str = "root", chain: Path | None = None) -> Path:
        """Install an issuing authority; returns its certificate."""
        request, certificate = self.folder / f"{name}.csr", self.folder / f"{name}.crt"
        succeeded(self.ca("request", name, "--out", request))
        succeeded(self.at_root("sign", request, "--yes", "--out", certificate, root=root))
        succeeded(self.ca("install", name, certificate, *(("--chain", chain) if chain else ())))
        return certificate

    def new_root(self) -> Path:
        """Make root-2 beside the root, certified by it; returns that certificate."""
        name = ("--name", "root-2", "--common-name", "fleetpki root CA 2")
        succeeded(self.at_root("root", *name, root="root-2"))
        cross = self.folder / "cross.crt"
        succeeded(self.at_root("cross-sign", self.folder / "root-2" / "root.crt", "--out", cross))
        succeeded(self.ca("install-root", "root-2", self.folder / "root-2" / "root.crt"))
        return cross


def succeeded(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.stderr
    return outcome


def openssl_verifies(anchor: Path, leaf: Path, *options: str) -> bool:
    command: list[str | Path] = [
        "openssl",
        "verify",
        "-x509_strict",
        "-CAfile",
        anchor,
        "-untrusted",
        leaf,
        *options,
        leaf,
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("office")
    make_fleet(folder, hosts=[HOST, "127.0.0.1"], public_url="http://pki.example")
    (folder / "pass").write_bytes(PASSPHRASE)
    (folder / "pass").chmod(0o600)
    return folder


@pytest.fixture
def office(pristine: Path, tmp_path: Path) -> Office:
    shutil.copytree(pristine, tmp_path, dirs_exist_ok=True)
    return Office(tmp_path, Layout(tmp_path / "fleet"))


def test_a_new_issuing_authority_takes_over_beside_the_old_one(office: Office) -> None:
    office.roll_over("issuing-2")
    assert office.authorities()["issuing-2"] == "standby"
    succeeded(office.ca("activate", "issuing-2"))
    assert office.authorities() == {
        "root": "active",
        "issuing": "retiring",
        "issuing-2": "active",
        "bootstrap-ca": "active",
    }
    succeeded(office.ca("renew", "broker"))
    broker = office.layout.broker / "broker.crt"
    assert openssl_verifies(office.layout.ca / "root.crt", broker, "-verify_hostname", HOST)
    issuer = x509.load_pem_x509_certificate(broker.read_bytes()).issuer.rfc4514_string()
    assert issuer == "CN=fleetpki issuing CA issuing-2"


def test_an_authority_whose_certificates_are_at_work_cannot_be_retired(office: Office) -> None:
    assert "activate another one first" in office.ca("retire", "issuing").stderr
    office.roll_over("issuing-2")
    succeeded(office.ca("activate", "issuing-2"))
    outcome = office.ca("retire", "issuing")
    assert outcome.code == 2
    assert "still at work" in outcome.stderr


def test_an_authority_is_retired_when_everybody_has_moved_over(office: Office) -> None:
    csr = office.folder / "anna.csr"
    csr.write_text(make_csr(new_key(), "anna"))
    certify = ("person", "certify", "anna", "--role", "viewer", "--csr", csr)
    succeeded(office.cli(*certify, "--out", office.folder / "anna.crt"))
    office.roll_over("issuing-2")
    succeeded(office.ca("activate", "issuing-2"))
    for own in ("broker", "service", "operator"):
        succeeded(office.ca("renew", own))
    outcome = office.ca("retire", "issuing")
    assert "1 certificates of issuing are still at work: anna" in outcome.stderr
    succeeded(office.cli("person", "revoke", "anna", "--reason", "certified anew"))
    succeeded(office.ca("retire", "issuing"))
    assert office.authorities()["issuing"] == "retired"


def test_an_own_key_is_replaced(office: Office) -> None:
    certificate, key = office.layout.services / "operator.crt", office.layout.services / "operator.key"
    former = key.read_bytes()
    succeeded(office.ca("renew", "operator", "--new-key"))
    assert key.read_bytes() != former
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    ssl.create_default_context().load_cert_chain(certificate, key)  # they belong together


def test_the_officer_sees_what_is_certified_and_can_refuse(office: Office) -> None:
    request = office.folder / "issuing-2.csr"
    succeeded(office.ca("request", "issuing-2", "--host", "other.example", "--out", request))
    outcome = office.at_root("sign", request, "--out", office.folder / "issuing-2.crt")
    assert outcome.code != 0  # nobody is there to say yes
    assert "other.example" in outcome.stdout + outcome.stderr
    assert not (office.folder / "issuing-2.crt").exists()


def test_an_authority_certifies_no_host_that_is_not_the_fleets(office: Office) -> None:
    settings = office.layout.settings
    settings.write_text(settings.read_text().replace(HOST, "mqtt.example.org"))
    outcome = office.ca("renew", "broker")
    assert outcome.code != 0
    assert "may not certify mqtt.example.org" in outcome.stderr


def test_openssl_enforces_the_name_constraints(office: Office) -> None:
    """Somebody with the issuing key, but without our linter, makes a certificate for another host."""
    folder = office.folder
    (folder / "ext").write_text("subjectAltName=DNS:bank.example\nextendedKeyUsage=serverAuth\n")
    issuing, key = office.layout.ca / "issuing.crt", office.layout.ca / "issuing.key"
    commands: list[list[str | Path]] = [
        ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-subj", "/CN=bank", "-out", "csr"],
        ["x509", "-req", "-in", "csr", "-CA", issuing, "-CAkey", key, "-extfile", "ext", "-out", "forged"],
    ]
    for command in commands:
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    anchor = office.layout.ca / "root.crt"
    outcome = subprocess.run(
        ["openssl", "verify", "-CAfile", anchor, "-untrusted", issuing, "forged"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "permitted subtree violation" in outcome.stderr


def test_the_root_changes_while_devices_trust_the_old_one_the_new_one_or_both(office: Office) -> None:
    cross = office.new_root()
    office.roll_over("issuing-2", root="root-2", chain=cross)
    succeeded(office.ca("activate", "issuing-2"))
    succeeded(office.ca("renew", "broker"))
    broker = office.layout.broker / "broker.crt"
    for anchor in (office.folder / "root" / "root.crt", office.folder / "root-2" / "root.crt"):
        assert openssl_verifies(anchor, broker, "-purpose", "sslserver", "-verify_hostname", HOST)


def test_a_trust_update_is_signed_by_the_root_devices_trust(office: Office) -> None:
    office.new_root()
    anchors = [office.folder / name / "root.crt" for name in ("root", "root-2")]
    document = office.folder / "trust.json"
    named = [part for anchor in anchors for part in ("--anchor", anchor)]
    succeeded(office.at_root("trust-update", "--version", "1", *named, "--out", document))
    update = json.loads(document.read_text())
    certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in update["anchors"]]
    ids = "".join(f"{certificate_id(each)}\n" for each in certificates)
    key = x509.load_pem_x509_certificate(anchors[0].read_bytes()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = base64.b64decode(update["signature"])
    key.verify(signature, f"fleetpki-trust-anchors\n1\n{ids}".encode(), ec.ECDSA(hashes.SHA256()))
    succeeded(office.ca("trust-send", document))
    assert office.ca("trust-send", document).code == 2  # a version is sent once


def test_a_compromised_issuing_authority_is_revoked_at_the_root(office: Office) -> None:
    certificate = office.roll_over("issuing-2")
    succeeded(office.ca("activate", "issuing-2"))
    crl = office.folder / "root.crl"
    reason = ("--reason", "cACompromise")
    succeeded(office.at_root("root-crl", "--revoke", certificate, *reason, "--out", crl))
    succeeded(office.ca("install-crl", crl))
    assert office.authorities()["issuing-2"] == "revoked"
    entry = next(iter(x509.load_der_x509_crl(crl.read_bytes())))
    assert entry.serial_number == x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number


@pytest.mark.parametrize(
    "options", [["--reason", "cACompromise"], ["--revoke", "root.crt", "--reason", "fun"]]
)
def test_a_reason_no_list_can_tell_is_refused(office: Office, options: list[str]) -> None:
    crl = office.folder / "root.crl"
    assert office.at_root("root-crl", *options, "--out", crl).code == 2
    assert not crl.exists()


@pytest.mark.parametrize("options", [["--name", "Root 2"], ["--name", "root-2", "--common-name", "\x1b[31m"]])
def test_a_root_that_could_not_be_installed_is_not_made(office: Office, options: list[str]) -> None:
    assert office.at_root("root", *options, root="root-2").code == 2
    assert not (office.folder / "root-2").exists()


def test_everything_the_root_signs_is_in_its_journal_first(office: Office) -> None:
    certificate = x509.load_pem_x509_certificate(office.roll_over("issuing-2").read_bytes())
    journal = (office.folder / "root" / "journal.jsonl").read_text().splitlines()
    certified = [json.loads(line) for line in journal if "certified" in line]
    assert f"{certificate.serial_number:x}" in [entry["serial"] for entry in certified]
    assert len(certified) == 2


def test_a_root_with_a_wrong_passphrase_signs_nothing(office: Office) -> None:
    (office.folder / "pass").write_text("not the passphrase")
    request = office.folder / "issuing-2.csr"
    succeeded(office.ca("request", "issuing-2", "--out", request))
    outcome = office.at_root("sign", request, "--yes", "--out", office.folder / "issuing-2.crt")
    assert outcome.code == 1
    assert "wrong passphrase" in outcome.stderr
    assert not (office.folder / "issuing-2.crt").exists()


@pytest.mark.parametrize("content", ["garbage", "", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_what_is_no_request_is_not_signed(office: Office, content: str) -> None:
    (office.folder / "request").write_text(content)
    outcome = office.at_root("sign", office.folder / "request", "--yes", "--out", office.folder / "crt")
    assert outcome.code == 2
    assert "Traceback" not in outcome.stderr


def test_a_certificate_for_another_key_is_not_installed(office: Office) -> None:
    certificate = office.roll_over("issuing-2")
    succeeded(office.ca("request", "issuing-3", "--out", office.folder / "issuing-3.csr"))
    outcome = office.ca("install", "issuing-3", certificate)
    assert outcome.code == 2
    assert "not for the key" in outcome.stderr


def test_a_certificate_of_a_strange_root_is_not_installed(office: Office) -> None:
    succeeded(office.at_root("root", "--name", "stranger", root="stranger"))
    request, certificate = office.folder / "csr", office.folder / "crt"
    succeeded(office.ca("request", "issuing-2", "--out", request))
    succeeded(office.at_root("sign", request, "--yes", "--out", certificate, root="stranger"))
    outcome = office.ca("install", "issuing-2", certificate)
    assert outcome.code == 2
    assert "untrusted" in outcome.stderr


@pytest.mark.parametrize("name", ["Issuing", "a/b", "x" * 33, "", "root"])
def test_an_impossible_or_taken_name_is_refused(office: Office, name: str) -> None:
    assert office.ca("request", name, "--out", office.folder / "csr").code == 2


def test_a_bootstrap_authority_is_below_no_root(office: Office) -> None:
    succeeded(office.ca("bootstrap", "batch-7"))
    shown = office.ca("show", "batch-7", "--json").data
    (office.folder / "batch-7.crt").write_text(shown["pem"])
    assert not openssl_verifies(office.layout.ca / "root.crt", office.folder / "batch-7.crt")
    assert office.authorities()["batch-7"] == "active"


def test_an_unknown_authority_is_named(office: Office) -> None:
    outcome = office.ca("show", "nobody")
    assert outcome.code == 2
    assert "no authority nobody" in outcome.stderr
