# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Any edit of the audit chain shows."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from fleetpki.errors import FleetError
from fleetpki.lifecycle import Context
from fleetpki.registry import audit
from fleetpki.registry.database import reading

pytestmark = pytest.mark.both_databases

EDITS = {
    "detail": """UPDATE audit SET detail = '{"n": 99}' WHERE seq = 6""",
    "actor": "UPDATE audit SET actor = 'somebody' WHERE seq = 6",
    "time": "UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE seq = 6",
    "removal": "DELETE FROM audit WHERE seq = 6",
    "removal of the first": "DELETE FROM audit WHERE seq = 1",
    "closing of a gap": "UPDATE audit SET seq = seq - 1 WHERE seq > 6",
    "insertion": """INSERT INTO audit SELECT 100, at, actor, action, subject, detail, previous, hash
                    FROM audit WHERE seq = 6""",
    "copied hash": "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 5) WHERE seq = 6",
}


def append(ctx: Context, number: int) -> None:
    with ctx.transaction("test", "count", "s") as tx:
        tx.audit("count", "s", n=number)


def length(ctx: Context) -> int:
    with reading(ctx.sessions) as session:
        return audit.verify(session).seq


@pytest.fixture
def chain(ctx: Context) -> Context:
    for number in range(6):
        append(ctx, number)
    return ctx


def test_an_untouched_chain_verifies(ctx: Context) -> None:
    before = length(ctx)
    append(ctx, 1)
    assert length(ctx) == before + 1


def test_entries_of_many_writers_form_one_chain(chain: Context) -> None:
    before = length(chain)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: append(chain, number), range(20)))
    assert length(chain) == before + 20


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_breaks_the_chain(chain: Context, edit: str) -> None:
    with chain.sessions.begin() as session:
        if edit == "closing of a gap":
            session.execute(text("DELETE FROM audit WHERE seq = 6"))
        session.execute(text(EDITS[edit]))
    with reading(chain.sessions) as session, pytest.raises(FleetError, match="broken at entry"):
        audit.verify(session)
