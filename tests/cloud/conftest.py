# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the cloud's tests: one hierarchy per test process, one registry per test."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleetpki.lifecycle import Context, register_hierarchy
from fleetpki.pki.hierarchy import Hierarchy, make_hierarchy
from fleetpki.pki.issuer import Issuer
from fleetpki.registry.database import create_registry
from tests.cloud.doubles import Clock, Fleet

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def hierarchy() -> Hierarchy:
    return make_hierarchy(hosts=["broker.example", "127.0.0.1"], now=START)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def ctx(hierarchy: Hierarchy, clock: Clock, tmp_path: Path) -> Context:
    issuing = hierarchy.issuing
    context = Context(
        sessions=create_registry(tmp_path / "registry.db"),
        issuer=Issuer(issuing.certificate, issuing.key, chain_pem=issuing.certificate_pem),
        clock=clock,
    )
    register_hierarchy(context, hierarchy)
    return context


@pytest.fixture
def fleet(ctx: Context, hierarchy: Hierarchy) -> Fleet:
    return Fleet(ctx, hierarchy)
