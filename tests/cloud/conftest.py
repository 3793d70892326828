# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the cloud's tests: one hierarchy per test process, one registry per test."""

import pytest

from fleetpki.lifecycle import Context
from fleetpki.pki.hierarchy import Hierarchy, make_hierarchy
from tests.cloud.doubles import START, Clock, Fleet, ReusedRegistry, make_context


@pytest.fixture(scope="session")
def hierarchy() -> Hierarchy:
    return make_hierarchy(hosts=["broker.example", "127.0.0.1"], now=START)


@pytest.fixture(scope="session")
def registry(hierarchy: Hierarchy, tmp_path_factory: pytest.TempPathFactory) -> ReusedRegistry:
    return ReusedRegistry(tmp_path_factory.mktemp("registry"), hierarchy)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def ctx(registry: ReusedRegistry, hierarchy: Hierarchy, clock: Clock) -> Context:
    return make_context(registry.renewed(), hierarchy, clock)


@pytest.fixture
def fleet(ctx: Context, hierarchy: Hierarchy) -> Fleet:
    return Fleet(ctx, hierarchy)
