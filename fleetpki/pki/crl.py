# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Certificate revocation lists (RFC 5280, 5), whole or in partitions.

A partition holds the certificates that name its URL; the issuing distribution point says so
(RFC 5280, 5.2.5).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from fleetpki.pki.issuer import Issuer
from fleetpki.pki.reasons import Revocation


@dataclass(frozen=True)
class ListPlan:
    """What a revocation list says beside its entries; without a partition it is the whole list."""

    number: int
    this_update: datetime
    next_update: datetime
    partition: int | None = None


def sign_list(issuer: Issuer, plan: ListPlan, revocations: Iterable[Revocation]) -> bytes:
    """Sign a list; its DER."""
    # The constructor takes all entries at once: adding them one by one copies the list each time.
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.certificate.subject,
        last_update=plan.this_update,
        next_update=plan.next_update,
        revoked_certificates=[_entry(revocation) for revocation in revocations],
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key)
    builder = builder.add_extension(authority, critical=False)
    builder = builder.add_extension(x509.CRLNumber(plan.number), critical=False)
    if plan.partition is not None and issuer.repository is not None:
        scope = _scope(issuer.repository.crl(plan.partition))
        builder = builder.add_extension(scope, critical=True)
    return issuer.sign_list(builder)


def _scope(url: str) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=True,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def _entry(revocation: Revocation) -> x509.RevokedCertificate:
    extensions: list[x509.Extension[x509.ExtensionType]] = []
    if revocation.reason is not None:
        reason = x509.CRLReason(revocation.reason)
        extensions.append(x509.Extension(x509.CRLReason.oid, critical=False, value=reason))
    return x509.RevokedCertificateBuilder(revocation.serial, revocation.at, extensions).build()
