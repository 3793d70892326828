# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Checks a certificate against its profile before it is signed: what is signed cannot be taken back."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID

from fleetpki.errors import FleetError, Rejected
from fleetpki.pki import keys
from fleetpki.pki.profiles import Profile

_SERIAL_BITS_MIN = 64
_SERIAL_BITS_MAX = 159
_COMMON_NAME_MAX = 64


def lint(draft: x509.Certificate, profile: Profile, issuer: x509.Certificate | None) -> None:
    """Raise ``FleetError`` naming every deviation from the profile; no issuer means self-signed."""
    findings = [*_identity(draft, profile), *_extensions(draft, profile), *_nesting(draft, issuer)]
    if findings:
        raise FleetError(
            f"refusing to sign a {profile.name} certificate: {'; '.join(findings)}",
            "correct the profile or the request; nothing was signed",
        )


def _identity(draft: x509.Certificate, profile: Profile) -> Iterator[str]:
    common_names = [str(name.value) for name in draft.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(draft.subject) != 1 or len(common_names) != 1:
        yield "the subject is not exactly one common name"
    elif not 1 <= len(common_names[0]) <= _COMMON_NAME_MAX:
        yield f"the common name has not 1 to {_COMMON_NAME_MAX} characters"
    if not _SERIAL_BITS_MIN <= draft.serial_number.bit_length() <= _SERIAL_BITS_MAX:
        yield f"the serial number has not {_SERIAL_BITS_MIN} to {_SERIAL_BITS_MAX} bits"
    if draft.not_valid_before_utc >= draft.not_valid_after_utc:
        yield "it ends before it starts"
    try:
        keys.accept(draft.public_key())
    except Rejected as refusal:
        yield refusal.message


def _extensions(draft: x509.Certificate, profile: Profile) -> Iterator[str]:
    extensions = draft.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    if not constraints.critical or constraints.value != x509.BasicConstraints(
        profile.is_ca, profile.path_length
    ):
        yield "basic constraints differ from the profile"
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    if not usage.critical or _usages(usage.value) != profile.key_usage:
        yield "key usage differs from the profile"
    purposes = [
        purpose
        for found in extensions
        if isinstance(found.value, x509.ExtendedKeyUsage)
        for purpose in found.value
    ]
    if purposes != ([profile.extended_key_usage] if profile.extended_key_usage else []):
        yield "extended key usage differs from the profile"
    has_hosts = any(isinstance(found.value, x509.SubjectAlternativeName) for found in extensions)
    if has_hosts != profile.names_hosts:
        yield "host names missing" if profile.names_hosts else "host names in a certificate of no host"


def _usages(usage: x509.KeyUsage) -> frozenset[str]:
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
    ]
    return frozenset(name for name in [*names, "key_cert_sign", "crl_sign"] if getattr(usage, name))


def _nesting(draft: x509.Certificate, issuer: x509.Certificate | None) -> Iterator[str]:
    if issuer is None:
        return
    if draft.issuer != issuer.subject:
        yield "the issuer's name differs from the issuing certificate's subject"
    if (
        draft.not_valid_before_utc < issuer.not_valid_before_utc
        or draft.not_valid_after_utc > issuer.not_valid_after_utc
    ):
        yield "its validity is not inside its issuer's"
