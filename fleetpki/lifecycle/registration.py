# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates that are no device's become known to the registry."""

from cryptography import x509

from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.pki import keys
from fleetpki.pki.hierarchy import Hierarchy
from fleetpki.pki.identifiers import certificate_id, key_digest
from fleetpki.pki.issuer import common_name, to_pem
from fleetpki.registry.models import ApiRole, Certificate, CertificateState, Role


def register_hierarchy(ctx: Context, hierarchy: Hierarchy) -> None:
    """Register what a new fleet starts with, so that the verdict knows it."""
    with ctx.transaction(OPERATOR, "init", "fleet") as tx:
        _register(tx, hierarchy.broker.certificate, Role.BROKER)
        _register(tx, hierarchy.service.certificate, Role.SERVICE)
        _register(tx, hierarchy.operator.certificate, Role.SERVICE, ApiRole.CA_OFFICER)
        _register(tx, hierarchy.bootstrap.certificate, Role.BOOTSTRAP)


def _register(
    tx: Transaction, certificate: x509.Certificate, role: Role, api_role: ApiRole | None = None
) -> None:
    name = common_name(certificate)
    public_key, _ = keys.accept(certificate.public_key())
    tx.session.add(
        Certificate(
            certificate_id=certificate_id(certificate),
            role=role,
            common_name=name,
            serial=f"{certificate.serial_number:x}",
            key_digest=key_digest(public_key),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            state=CertificateState.ACTIVE,
            api_role=api_role,
            pem=to_pem(certificate),
            recorded_at=tx.now,
            issued_at=tx.now,
            activated_at=tx.now,
        )
    )
    tx.audit("certificate.registered", name, certificate_id=certificate_id(certificate), role=role)
