# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the cloud's tests: one hierarchy per test process, one registry per test."""

from collections.abc import Iterator

import pytest

from fleetpki.lifecycle import Context
from fleetpki.pki.hierarchy import Hierarchy, make_hierarchy
from tests.cloud.doubles import (
    START,
    Clock,
    Fleet,
    ReusedFile,
    ReusedPostgres,
    ReusedRegistry,
    make_context,
)
from tests.cloud.postgres import PostgresServer, running_server


@pytest.fixture(scope="session")
def hierarchy() -> Hierarchy:
    return make_hierarchy(hosts=["broker.example", "127.0.0.1"], now=START)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_databases: runs on SQLite and on PostgreSQL")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_databases") and "registry" in metafunc.fixturenames:
        metafunc.parametrize("registry", ["sqlite", "postgresql"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def registry(
    request: pytest.FixtureRequest, hierarchy: Hierarchy, tmp_path_factory: pytest.TempPathFactory
) -> ReusedRegistry:
    if getattr(request, "param", "sqlite") == "postgresql":
        return ReusedPostgres(request.getfixturevalue("postgres"), hierarchy)
    return ReusedFile(tmp_path_factory.mktemp("registry"), hierarchy)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def ctx(registry: ReusedRegistry, hierarchy: Hierarchy, clock: Clock) -> Context:
    return make_context(registry.renewed(), hierarchy, clock)


@pytest.fixture
def fleet(ctx: Context, hierarchy: Hierarchy) -> Fleet:
    return Fleet(ctx, hierarchy)
