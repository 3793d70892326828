# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The certificates that are no device's become known to the registry."""

from cryptography import x509

from fleetpki.lifecycle import authorities
from fleetpki.lifecycle.batches import BatchPolicy, add_batch
from fleetpki.lifecycle.ceremony import key_file
from fleetpki.lifecycle.context import OPERATOR, Context, Transaction
from fleetpki.pki import hierarchy as hierarchies
from fleetpki.pki import keys
from fleetpki.pki.hierarchy import Hierarchy
from fleetpki.pki.identifiers import certificate_id, key_digest
from fleetpki.pki.issuer import common_name, to_pem
from fleetpki.registry.models import ApiRole, Authority, AuthorityKind, Certificate, CertificateState, Role


def register_hierarchy(ctx: Context, hierarchy: Hierarchy) -> None:
    """Register what a new fleet starts with, so that the verdict knows it."""
    with ctx.transaction(OPERATOR, "init", "fleet") as tx:
        root = authorities.register(
            tx,
            AuthorityKind.ROOT,
            hierarchies.ROOT,
            hierarchy.root.certificate,
            chain_pem="",
            key_uri=None,
            issuer_id=None,
            crl_partitions=1,
        )
        issuing = authorities.register(
            tx,
            AuthorityKind.ISSUING,
            hierarchies.ISSUING,
            hierarchy.issuing.certificate,
            chain_pem=hierarchy.issuing.certificate_pem,
            key_uri=key_file(hierarchies.ISSUING),
            issuer_id=root.authority_id,
            crl_partitions=hierarchies.ISSUING_PARTITIONS,
        )
        bootstrap_ca = authorities.register(
            tx,
            AuthorityKind.BOOTSTRAP,
            hierarchies.BOOTSTRAP_CA,
            hierarchy.bootstrap_ca.certificate,
            chain_pem="",
            key_uri=key_file(hierarchies.BOOTSTRAP_CA),
            issuer_id=None,
            crl_partitions=1,
        )
        _register(tx, issuing, hierarchy.broker.certificate, Role.BROKER)
        _register(tx, issuing, hierarchy.service.certificate, Role.SERVICE)
        _register(tx, issuing, hierarchy.operator.certificate, Role.SERVICE, ApiRole.CA_OFFICER)
        batch = add_batch(tx, common_name(hierarchy.bootstrap.certificate), BatchPolicy(open=True))
        _register(tx, bootstrap_ca, hierarchy.bootstrap.certificate, Role.BOOTSTRAP, batch=batch.name)


def _register(
    tx: Transaction,
    authority: Authority,
    certificate: x509.Certificate,
    role: Role,
    api_role: ApiRole | None = None,
    batch: str | None = None,
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
            issuer_id=authority.authority_id,
            crl_partition=certificate.serial_number % authority.crl_partitions,
            api_role=api_role,
            batch=batch,
            pem=to_pem(certificate),
            recorded_at=tx.now,
            issued_at=tx.now,
            activated_at=tx.now,
        )
    )
    tx.audit("certificate.registered", name, certificate_id=certificate_id(certificate), role=role)
