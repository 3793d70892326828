# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The chain in a file: verified without the registry; whatever is done to the file shows."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from fleetpki.audit_files import Format, verify_file, write_entries
from fleetpki.errors import FleetError
from fleetpki.registry import audit
from fleetpki.registry.audit import Head
from fleetpki.registry.database import reading
from fleetpki.registry.models import AuditEntry
from tests.cloud.doubles import START, Clock, Fleet

Lines = list[str]


def export(fleet: Fleet, path: Path, form: Format, *, hours: int = 0) -> Head:
    with reading(fleet.ctx.sessions) as session, path.open("w") as file:
        write_entries(audit.entries(session, since=START + timedelta(hours=hours)), form, file)
        return audit.verify(session)


@pytest.fixture(params=list(Format))
def exported(request: pytest.FixtureRequest, fleet: Fleet, tmp_path: Path) -> tuple[Path, Head]:
    fleet.device("sensor-1")
    path = tmp_path / "audit"
    return path, export(fleet, path, request.param)


def test_an_exported_chain_verifies(exported: tuple[Path, Head]) -> None:
    path, head = exported
    assert verify_file(path, head) == (1, head)


def test_a_part_of_the_chain_verifies(fleet: Fleet, clock: Clock, tmp_path: Path) -> None:
    fleet.device("sensor-1")
    clock.advance(timedelta(hours=2))
    fleet.device("sensor-2")
    path = tmp_path / "audit.jsonl"
    head = export(fleet, path, Format.JSONL, hours=1)
    first, found = verify_file(path, head)
    assert first > 1
    assert found == head


DAMAGE: dict[str, Callable[[Lines], Lines]] = {
    "edited": lambda lines: [*lines[:-2], lines[-2].replace("sensor-1", "sensor-2"), lines[-1]],
    "removed": lambda lines: [*lines[:-2], lines[-1]],
    "reordered": lambda lines: [*lines[:-2], lines[-1], lines[-2]],
    "repeated": lambda lines: [*lines, lines[-1]],
    "cut off": lambda lines: lines[:-1],
    "cut within a line": lambda lines: [*lines[:-1], lines[-1][:40]],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_is_done_to_the_file_shows(exported: tuple[Path, Head], damage: str) -> None:
    path, head = exported
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(DAMAGE[damage](lines)))
    with pytest.raises(FleetError):
        verify_file(path, head)


def test_a_registry_whose_end_was_cut_off_does_not_have_the_head(fleet: Fleet) -> None:
    fleet.device("sensor-1")
    with fleet.ctx.sessions.begin() as session:
        head = audit.verify(session)
        session.delete(session.get_one(AuditEntry, head.seq))
    with reading(fleet.ctx.sessions) as session:
        audit.verify(session)
        with pytest.raises(FleetError, match="it ends here"):
            audit.verify(session, head)


def test_a_chain_made_anew_does_not_have_the_head(fleet: Fleet) -> None:
    fleet.device("sensor-1")
    with reading(fleet.ctx.sessions) as session:
        head = audit.verify(session)
        with pytest.raises(FleetError, match=f"broken at entry {head.seq}"):
            audit.verify(session, Head(head.seq, "f" * 64))


@pytest.mark.parametrize("text", ["", "5", "x:" + "0" * 64, "5:abc"])
def test_what_is_no_head(text: str) -> None:
    with pytest.raises(FleetError, match="no head"):
        Head.parse(text)
