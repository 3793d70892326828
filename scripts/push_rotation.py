#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Turn a PEM certificate and key into the JSON of a rotate message, and send it if asked to.

The everyday mistakes this prevents, each caught here instead of on the device:

  * line breaks of the PEM pasted raw into JSON          -> escaped as \\n, as JSON wants them
  * PEM with Windows line ends, or text around it        -> read, and written anew
  * the key of another certificate                       -> compared before anything is written
  * another device's certificate                         -> the common name must be DEVICE
  * an expired, or not yet valid, certificate            -> refused
  * a certificate that cannot be used as a TLS client    -> refused
  * the issuing CA forgotten, or in the wrong order      -> it has to lead from the leaf to below the root
  * a passphrase on the key, which no device can enter   -> refused
  * a message over the limit of 8,192 bytes              -> refused
  * the private key readable by others, or on a command line, or retained by the broker
                                                         -> files are made 0600; nothing is ever retained
"""

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    from fleetpki.errors import FleetError
    from fleetpki.fleet import Fleet
    from fleetpki.mqtt import topics
    from fleetpki.mqtt.messages import MAX_MESSAGE
    from fleetpki.mqtt.push import push
except ImportError as error:
    sys.exit(f"push_rotation: {error}. Run `make setup`, then use .venv/bin/python {sys.argv[0]}")


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The input would not work on the device; the text says why and what to do."""


def main() -> None:
    """Run the command line."""
    arguments = parse_arguments()
    try:
        message = rotate_message(arguments)
    except Refused as refused:
        end(2, str(refused))
    except OSError as error:
        end(2, f"{error.filename}: {error.strerror}")
    if arguments.publish:
        publish(arguments.dir, arguments.device, message)
    else:
        write_private(arguments.output, message)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit code: 0 done, 1 not delivered, 2 refused, 4 no broker. "
        "Topic for your own MQTT client: devices/DEVICE/certs/rotate, QoS 1, not retained.",
    )
    parser.add_argument("device", metavar="DEVICE", help="device id, the common name of its certificate")
    parser.add_argument(
        "--certificate", required=True, metavar="FILE", help="PEM, leaf first, may hold the chain; - is stdin"
    )
    parser.add_argument(
        "--key", required=True, metavar="FILE", help="PEM of the private key, without passphrase; - is stdin"
    )
    parser.add_argument(
        "--chain",
        metavar="FILE",
        help="PEM of the issuing CAs, if not in --certificate; default DIR/ca/issuing.crt",
    )
    parser.add_argument("--rotation-id", metavar="ID", help="default: the device uses the certificate's id")
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(os.environ.get("FLEETPKI_DIR", "fleet")),
        help="fleet directory (default: %(default)s)",
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--output", default="-", metavar="FILE", help="where the JSON goes, made 0600; - is stdout (default)"
    )
    target.add_argument(
        "--publish", action="store_true", help="send it, with the operator's certificate from DIR"
    )
    return parser.parse_args()


def rotate_message(arguments: argparse.Namespace) -> bytes:
    """Check everything and build the message."""
    if [arguments.certificate, arguments.key, arguments.chain].count("-") > 1:
        raise Refused("only one of --certificate, --key and --chain can be stdin")
    leaf, *chain = load_certificates(arguments.certificate)
    key = load_key(arguments.key)
    if arguments.chain:
        chain = load_certificates(arguments.chain)
    elif not chain and (issuing := arguments.dir / "ca" / "issuing.crt").exists():
        chain = load_certificates(str(issuing))
    check_leaf(leaf, key, arguments.device)
    check_chain(leaf, chain)

    fields = {
        "new_certificate": pem_text([leaf]),
        "new_private_key": key_text(key),
        "chain": pem_text(chain),
    }
    if arguments.rotation_id:
        fields["rotation_id"] = arguments.rotation_id
    message = json.dumps(fields).encode()
    if len(message) > MAX_MESSAGE:
        raise Refused(f"the message has {len(message)} bytes, devices take {MAX_MESSAGE}; use an EC key")
    return message


def load_certificates(name: str) -> list[x509.Certificate]:
    """Read the certificates of a PEM file in their order."""
    try:
        return x509.load_pem_x509_certificates(read(name))
    except ValueError as error:
        raise Refused(f"{name}: no PEM certificate in it ({error})") from error


def load_key(name: str) -> PrivateKeyTypes:
    """Read a private key."""
    try:
        return serialization.load_pem_private_key(read(name), password=None)
    except TypeError as error:
        raise Refused(
            f"{name}: the key has a passphrase; devices need it without: openssl pkey -in {name} -out FILE"
        ) from error
    except ValueError as error:
        raise Refused(f"{name}: no PEM private key in it ({error})") from error


def check_leaf(leaf: x509.Certificate, key: PrivateKeyTypes, device_id: str) -> None:
    """Refuse what the device would refuse."""
    if leaf.public_key() != key.public_key():
        raise Refused("the private key belongs to another certificate")
    names = [str(name.value) for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [device_id]:
        raise Refused(f"the certificate is for {' and '.join(names) or 'nobody'}, not for {device_id}")
    now = datetime.now(UTC)
    if leaf.not_valid_after_utc <= now:
        raise Refused(f"the certificate has expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if leaf.not_valid_before_utc > now:
        raise Refused(f"the certificate is valid only from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usage = x509.ExtendedKeyUsage([])
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise Refused("the certificate is not for TLS clients (extended key usage clientAuth is missing)")


def check_chain(leaf: x509.Certificate, chain: list[x509.Certificate]) -> None:
    """Refuse a chain that does not lead from the leaf to below the root."""
    below = leaf
    for certificate in chain:
        try:
            below.verify_directly_issued_by(certificate)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise Refused(
                f"chain: {certificate.subject.rfc4514_string()} did not issue "
                f"{below.subject.rfc4514_string()}; the order is leaf's issuer first"
            ) from error
        if certificate.subject == certificate.issuer:
            raise Refused("chain: leave the root out, the device has its own copy")
        below = certificate
    if not chain:
        raise Refused(
            "the issuing CA is missing; put it behind the leaf in --certificate, or name it with --chain"
        )


def pem_text(certificates: list[x509.Certificate]) -> str:
    """Write certificates as PEM with Unix line ends."""
    return "".join(
        certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in certificates
    )


def key_text(key: PrivateKeyTypes) -> str:
    """Write a key as PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def read(name: str) -> bytes:
    """Read a file, or stdin for ``-``."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def write_private(name: str, message: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all; ``-`` is stdout."""
    if name == "-":
        sys.stdout.buffer.write(message + b"\n")
        return
    target = Path(name)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent)  # 0600 from the start
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(message)
            Path(temporary).replace(target)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        end(1, f"{name}: {error.strerror}")


def publish(directory: Path, device_id: str, message: bytes) -> None:
    """Send the message over mutual TLS as the operator: once, not retained, to a device that is connected."""
    try:
        delivered = push(Fleet.open(directory).operator_bus(), topics.certs(device_id, "rotate"), message)
    except FleetError as error:
        end(error.exit_code, f"{error.message}; {error.hint}")
    if not delivered:
        end(1, f"{device_id} is not connected; nothing was kept for it, send again when it is")
    print(f"push_rotation: delivered to {device_id}", file=sys.stderr)


def end(code: int, message: str) -> NoReturn:
    """Leave with a message."""
    print(f"push_rotation: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
