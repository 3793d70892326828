# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The API is what its OpenAPI description says, whatever is asked: schemathesis makes the questions."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from fleetpki.registry.models import ApiRole
from fleetpki.web.api.app import api_without_fleet
from fleetpki.web.api.types import Body
from fleetpki.web.logins import FailedLogins
from tests.cloud.broker_fixtures import PATIENCE_S
from tests.cloud.web_fixtures import Web, running_web

EXAMPLES = 6
DESCRIPTION = schemathesis.openapi.from_dict(api_without_fleet().openapi())
OPERATIONS = [result.ok() for result in DESCRIPTION.get_all_operations() if isinstance(result, Ok)]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("openapi"), "api") as web:
        for number in range(3):
            web.enrolled(f"sensor-{number}")
        yield web


def test_everything_is_described() -> None:
    assert len(OPERATIONS) >= 40


def refusals(path: str, method: str) -> list[int]:
    """The refusals an operation is described with."""
    answers = DESCRIPTION.raw_schema["paths"][f"/api/v1{path}"][method]["responses"]
    return sorted(int(status) for status in answers if int(status) >= 400)


def test_an_operation_is_described_with_the_refusals_it_can_answer() -> None:
    assert refusals("/devices", "get") == [401, 422, 429, 503]
    assert refusals("/tokens", "get") == [401, 403, 422, 429, 503]
    assert refusals("/audit/verification", "get") == [401, 409, 422, 429, 503]
    assert refusals("/devices/{device_id}/resume", "post") == [401, 403, 404, 409, 422, 429, 503]
    changing = [400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 429, 503]
    assert refusals("/devices/{device_id}", "patch") == changing


def test_what_a_change_of_a_batch_leaves_out_has_no_default() -> None:
    change = DESCRIPTION.raw_schema["components"]["schemas"]["BatchChange"]
    assert "required" not in change
    assert [name for name, field in change["properties"].items() if "default" in field] == []


def test_the_version_a_change_is_made_to_has_to_be_named() -> None:
    change = DESCRIPTION.raw_schema["paths"]["/api/v1/devices/{device_id}"]["patch"]
    (header,) = (each for each in change["parameters"] if each["in"] == "header")
    assert (header["name"], header["required"]) == ("If-Match", True)


def bodies() -> Iterator[dict[str, Any]]:
    """The schemas of all bodies."""
    for path in DESCRIPTION.raw_schema["paths"].values():
        for operation in path.values():
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                name = schema.get("items", schema)["$ref"].rpartition("/")[2]
                yield DESCRIPTION.raw_schema["components"]["schemas"][name]


def test_no_body_has_fields_that_are_not_described() -> None:
    assert [body["title"] for body in bodies() if body["additionalProperties"] is not False] == []


def test_examples_are_bodies_that_are_taken() -> None:
    examples = [(body, example) for body in Body.__subclasses__() for example in examples_of(body)]
    assert len(examples) > 10
    for body, example in examples:
        body.model_validate(example)


def examples_of(body: type[Body]) -> list[Any]:
    """The examples a body is described with."""
    examples: list[Any] = body.model_json_schema().get("examples", [])
    return examples


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_as_described(web: Web, operation: Any) -> None:
    authorization = {"Authorization": f"Bearer {web.tokens[ApiRole.CA_OFFICER]}"}

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def is_as_described(case: Any) -> None:
        web.apps["api"].state.failed_logins = FailedLogins()  # wrong tokens are tried on purpose
        case.headers = {**(case.headers or {}), **authorization}
        case.call_and_validate(
            base_url=web.url("api"),
            verify=str(web.anchors),
            timeout=PATIENCE_S,
            excluded_checks=[positive_data_acceptance],  # rules refuse what is well-formed, too
        )

    is_as_described()
