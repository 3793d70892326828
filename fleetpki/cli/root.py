# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Ceremonies with the root: on the machine its medium is attached to, not on the one that serves."""

import json
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509

from fleetpki import files
from fleetpki.cli.common import Exit, present, printable, read_text
from fleetpki.cli.passphrase import passphrase
from fleetpki.errors import FleetError
from fleetpki.inputs import MAX_NUMBER
from fleetpki.lifecycle import ceremony, utc_now
from fleetpki.pki import key_files, roots
from fleetpki.pki.issuer import to_pem
from fleetpki.pki.key_store import KeyStore
from fleetpki.pki.name_constraints import permitted_hosts
from fleetpki.pki.reasons import REASONS, reason_code
from fleetpki.pki.root import Root, RootSettings, load, read_settings

app = typer.Typer()

RootDirectory = Annotated[Path, typer.Option("--root-dir", help="The directory of the root.")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="File with the passphrase of the root key; asked for when not given.")
]
Module = Annotated[str | None, typer.Option(help="PKCS#11 module, for a root whose key is on a token.")]
PinFile = Annotated[str | None, typer.Option(help="File with the PIN of the token.")]
Output = Annotated[Path, typer.Option("--out", help="The file to write.")]


@app.command(name="root")
def make_root(
    root_dir: RootDirectory,
    name: Annotated[str, typer.Option(help="Its name among the fleet's authorities, e.g. root-2.")],
    common_name: Annotated[
        str,
        typer.Option(parser=printable("a common name", 64), metavar="TEXT", help="Its name in certificates."),
    ] = "fleetpki root CA",
    public_url: Annotated[
        str | None, typer.Option(help="public_url of the fleet, for the address of its revocation list.")
    ] = None,
    key_uri: Annotated[str | None, typer.Option(help="pkcs11:token=TOKEN;object=LABEL for a token.")] = None,
    passphrase_file: PassphraseFile = None,
    pkcs11_module: Module = None,
    pin_file: PinFile = None,
) -> None:
    """Make a root in a new directory: the key on a token, or in a file encrypted with a passphrase.

    A new fleet has a root already; this makes the one that follows it.

    Example: *fleetpki ca root --root-dir /media/stick/root-2 --name root-2*
    """
    ceremony.check_name(name)
    settings = RootSettings(name, public_url, key_uri or "file:root.key")
    secret = None if key_uri else passphrase(passphrase_file, new=True)
    store = KeyStore(root_dir, pkcs11_module=pkcs11_module, pin_file=pin_file)
    roots.create(root_dir.absolute(), settings, common_name, store, secret, utc_now())
    present(False, None, f"Made the root {name} in {root_dir}. Its certificate is {root_dir / 'root.crt'}.")


@app.command()
def sign(
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help="What 'fleetpki ca request' wrote.")],
    root_dir: RootDirectory,
    out: Output,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before signing.")] = False,
    passphrase_file: PassphraseFile = None,
    pkcs11_module: Module = None,
    pin_file: PinFile = None,
) -> None:
    """Certify an issuing authority with the root, after showing what it asks for.

    Example: *fleetpki ca sign issuing-2.csr --root-dir /media/stick/root --out issuing-2.crt*
    """
    csr = _request(request)
    _confirm(csr, yes=yes)
    root = _open(root_dir, passphrase_file, pkcs11_module, pin_file)
    certificate = root.certify_issuing(csr, utc_now())
    files.replace(out, to_pem(certificate), mode=0o644)
    present(False, None, f"wrote {out}: carry it back, then 'fleetpki ca install NAME {out.name}'")


@app.command()
def cross_sign(
    certificate: Annotated[Path, typer.Argument(metavar="CERTIFICATE", help="root.crt of the new root.")],
    root_dir: RootDirectory,
    out: Output,
    passphrase_file: PassphraseFile = None,
    pkcs11_module: Module = None,
    pin_file: PinFile = None,
) -> None:
    """Certify a new root with this one, so that devices that trust only this one accept what that one signs.

    Example: *fleetpki ca cross-sign root-2/root.crt --root-dir root-1 --out cross.crt*
    """
    root = _open(root_dir, passphrase_file, pkcs11_module, pin_file)
    crossed = root.certify_root(_certificate(certificate), utc_now())
    files.replace(out, to_pem(crossed), mode=0o644)
    present(False, None, f"wrote {out}: for 'ca install --chain' of what the new root signs")


@app.command()
def root_crl(
    root_dir: RootDirectory,
    out: Output,
    revoke: Annotated[
        Path | None, typer.Option(help="Certificate of an authority to revoke with this list.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why, e.g. cACompromise. [default: cessationOfOperation]")
    ] = None,
    passphrase_file: PassphraseFile = None,
    pkcs11_module: Module = None,
    pin_file: PinFile = None,
) -> None:
    """Sign the root's revocation list for the next 400 days, and revoke an authority with it.

    Example: *fleetpki ca root-crl --root-dir root --revoke issuing.crt --reason cACompromise --out root.crl*
    """
    if reason is not None and revoke is None:
        raise FleetError("--reason is for --revoke", "name the certificate to revoke", Exit.REFUSED)
    if reason is not None and reason_code(reason) is None:
        problem = f"{reason!r} is no reason a revocation list knows"
        raise FleetError(problem, f"use one of {', '.join(REASONS)}", Exit.REFUSED)
    root, now = _open(root_dir, passphrase_file, pkcs11_module, pin_file), utc_now()
    if revoke is not None:
        root.revoke(_certificate(revoke).serial_number, reason or "cessationOfOperation", now)
    files.replace(out, root.revocation_list(now), mode=0o644)
    present(False, None, f"wrote {out}: carry it back, then 'fleetpki ca install-crl {out.name}'")


@app.command()
def trust_update(
    root_dir: RootDirectory,
    version: Annotated[
        int, typer.Option(min=1, max=MAX_NUMBER, help="Higher than any before; the factory's anchors are 0.")
    ],
    anchor: Annotated[list[Path], typer.Option(help="root.crt of a root to trust; may be repeated.")],
    out: Output,
    passphrase_file: PassphraseFile = None,
    pkcs11_module: Module = None,
    pin_file: PinFile = None,
) -> None:
    """Sign the list of roots devices are to trust from now on, with a root they trust already.

    Example: *fleetpki ca trust-update --root-dir root-1 --version 1 --anchor root-1/root.crt
    --anchor root-2/root.crt --out trust.json*
    """
    root = _open(root_dir, passphrase_file, pkcs11_module, pin_file)
    document = root.trust_document(version, [_certificate(each) for each in anchor])
    files.replace(out, json.dumps(document, indent=2) + "\n", mode=0o644)
    present(False, None, f"wrote {out}: carry it back, then 'fleetpki ca trust-send {out.name}'")


def _open(directory: Path, passphrase_file: Path | None, module: str | None, pin_file: str | None) -> Root:
    settings = read_settings(directory)
    if settings.key_uri.startswith("file:"):
        path = directory / settings.key_uri.removeprefix("file:")
        return load(directory, key_files.load(path, passphrase(passphrase_file, new=False)))
    return load(directory, KeyStore(directory, None, module, pin_file).open(settings.key_uri))


def _request(path: Path) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_pem_x509_csr(read_text(path).encode())
        csr.extensions.get_extension_for_class(x509.NameConstraints)
    except (ValueError, x509.ExtensionNotFound) as error:
        raise FleetError(f"{path} is no request of 'fleetpki ca request'", "", Exit.REFUSED) from error
    return csr


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(read_text(path).encode())
    except ValueError as error:
        raise FleetError(f"{path} is no certificate in PEM", "", Exit.REFUSED) from error


def _confirm(csr: x509.CertificateSigningRequest, *, yes: bool) -> None:
    constraints = csr.extensions.get_extension_for_class(x509.NameConstraints).value
    hosts = ", ".join(permitted_hosts(constraints)) or "none"
    question = f"Certify {csr.subject.rfc4514_string()}, to issue for these hosts only: {hosts}?"
    if not yes and not typer.confirm(question):
        raise FleetError("nothing was signed", "", Exit.REFUSED)
