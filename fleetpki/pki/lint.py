# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Checks a certificate against its profile before it is signed: what is signed cannot be taken back."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from fleetpki.errors import FleetError, Rejected
from fleetpki.pki import keys
from fleetpki.pki.name_constraints import hosts_of, is_permitted
from fleetpki.pki.profiles import Profile

_SERIAL_BITS_MIN = 64
_SERIAL_BITS_MAX = 159
_COMMON_NAME_MAX = 64
_CRITICAL = (x509.BasicConstraints.oid, x509.KeyUsage.oid)
_ALWAYS = (*_CRITICAL, x509.SubjectKeyIdentifier.oid, x509.AuthorityKeyIdentifier.oid)
_ADDRESSES = {x509.CRLDistributionPoints.oid, x509.AuthorityInformationAccess.oid}
_KNOWN = {
    *_ALWAYS,
    x509.ExtendedKeyUsage.oid,
    x509.SubjectAlternativeName.oid,
    *_ADDRESSES,
    x509.NameConstraints.oid,
    x509.OCSPNoCheck.oid,
}

Extensions = Mapping[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]
E = TypeVar("E", bound=x509.ExtensionType)


def lint(draft: x509.Certificate, profile: Profile, issuer: x509.Certificate | None) -> None:
    """Raise ``FleetError`` naming every deviation from the profile; no issuer means self-signed."""
    extensions = {extension.oid: extension for extension in draft.extensions}
    findings = [
        *_identity(draft),
        *_contents(extensions, profile),
        *_presence(extensions),
        *_nesting(draft, extensions, issuer),
    ]
    if findings:
        raise FleetError(
            f"refusing to sign a {profile.name} certificate: {'; '.join(findings)}",
            "correct the profile or the request; nothing was signed",
        )


def _identity(draft: x509.Certificate) -> Iterator[str]:
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


def _contents(extensions: Extensions, profile: Profile) -> Iterator[str]:
    """What the extensions say is what the profile has them say."""
    if _value(extensions, x509.BasicConstraints) != x509.BasicConstraints(profile.is_ca, profile.path_length):
        yield "basic constraints differ from the profile"
    usage = _value(extensions, x509.KeyUsage)
    if usage is None or _usages(usage) != profile.key_usage:
        yield "key usage differs from the profile"
    purposes = list(_value(extensions, x509.ExtendedKeyUsage) or ())
    if purposes != ([profile.extended_key_usage] if profile.extended_key_usage else []):
        yield "extended key usage differs from the profile"
    if (x509.SubjectAlternativeName.oid in extensions) != profile.names_hosts:
        yield "host names missing" if profile.names_hosts else "host names in a certificate of no host"
    if (x509.NameConstraints.oid in extensions) != profile.constrains_hosts:
        yield "name constraints differ from the profile"
    if (x509.OCSPNoCheck.oid in extensions) != profile.no_check:
        yield "the no-check mark differs from the profile"
    if not profile.has_status and extensions.keys() & _ADDRESSES:
        yield "addresses in a certificate whose status nobody asks for"


def _presence(extensions: Extensions) -> Iterator[str]:
    """Nothing that no profile knows, each extension marked critical as RFC 5280 has it."""
    for oid, extension in extensions.items():
        if oid not in _KNOWN:
            yield f"an extension no profile knows: {oid.dotted_string}"
        elif extension.critical != (oid in _CRITICAL):
            yield f"{oid.dotted_string} is marked critical, or should be"
    yield from (f"no extension {oid.dotted_string}" for oid in _ALWAYS if oid not in extensions)


def _value(extensions: Extensions, kind: type[E]) -> E | None:
    found = extensions.get(kind.oid)
    return found.value if found is not None and isinstance(found.value, kind) else None


def _usages(usage: x509.KeyUsage) -> frozenset[str]:
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
    ]
    return frozenset(name for name in [*names, "key_cert_sign", "crl_sign"] if getattr(usage, name))


def _nesting(
    draft: x509.Certificate, extensions: Extensions, issuer: x509.Certificate | None
) -> Iterator[str]:
    if issuer is None:
        return
    if draft.issuer != issuer.subject:
        yield "the issuer's name differs from the issuing certificate's subject"
    if (
        draft.not_valid_before_utc < issuer.not_valid_before_utc
        or draft.not_valid_after_utc > issuer.not_valid_after_utc
    ):
        yield "its validity is not inside its issuer's"
    authority = _value(extensions, x509.AuthorityKeyIdentifier)
    issuers = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    if authority is None or authority.key_identifier != issuers.digest:
        yield "the authority key identifier is not the issuer's"
    yield from (f"its issuer may not certify {host}" for host in _forbidden_hosts(extensions, issuer))


def _forbidden_hosts(extensions: Extensions, issuer: x509.Certificate) -> Iterator[str]:
    names = _value(extensions, x509.SubjectAlternativeName)
    if names is None:
        return
    limits = [each.value for each in issuer.extensions if isinstance(each.value, x509.NameConstraints)]
    if limits:
        yield from (host for host in hosts_of(names) if not is_permitted(limits[0], host))
