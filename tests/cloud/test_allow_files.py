# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Allow-lists in files: what was exported can be imported, and every mistake is named with its line."""

import pytest

from fleetpki.allow_files import csv_text, read_allow_list
from fleetpki.errors import FleetError
from fleetpki.lifecycle import AllowedEntry

ENTRIES = [
    AllowedEntry("sensor-1"),
    AllowedEntry("sensor-2", batch="b-7", group="cellar", tags={"site": "north"}, certificate_id="0" * 64),
]


def test_what_is_exported_can_be_imported() -> None:
    assert read_allow_list("list.csv", csv_text(ENTRIES)) == ENTRIES


def test_json() -> None:
    text = '[{"device_id": "sensor-1"}, {"device_id": "sensor-2", "tags": {"site": "north"}}]'
    assert read_allow_list("list.json", text) == [
        AllowedEntry("sensor-1"),
        AllowedEntry("sensor-2", tags={"site": "north"}),
    ]


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("list.csv", "", "line 1: the header"),
        ("list.csv", "device_id,colour\nsensor-1,red\n", "line 1: the header"),
        ("list.csv", "device_id\nsensor-1\n\na/b\n", "line 4: 'a/b' is no device id"),
        ("list.csv", "device_id\na\n", "line 2: 'a' is no device id: use 3 to 64 of"),
        ("list.csv", "device_id,group\nsensor-1\n", "line 2: 1 fields, the header has 2"),
        ("list.csv", "device_id\nsensor-1\nsensor-1\n", "line 3: sensor-1 is listed twice"),
        ("list.csv", "device_id,certificate_id\nsensor-1,xyz\n", "line 2: 'xyz' is no certificate id"),
        ("list.csv", 'device_id\n"sensor-1\n', "list.csv, line"),
        ("list.json", "{", "is not JSON"),
        ("list.json", "{}", "is no list"),
        ("list.json", '[{"device_id": "sensor-1"}, 5]', "entry 2"),
        ("list.json", '[{"device_id": 7}]', "entry 1: device_id"),
        ("list.json", '[{"device_id": "sensor-1", "colour": "red"}]', "entry 1: colour"),
        ("list.json", '[{"device_id": "sensor-1", "tags": {"a": 1}}]', "entry 1: tags"),
    ],
)
def test_a_mistake_is_named(name: str, text: str, where: str) -> None:
    with pytest.raises(FleetError) as caught:
        read_allow_list(name, text)
    assert where in caught.value.message
    assert caught.value.exit_code == 2
