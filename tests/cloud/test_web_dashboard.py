# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser."""

import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fleetpki import lifecycle
from fleetpki.lifecycle import KeyRequest
from fleetpki.registry.models import ApiRole
from tests.cloud.broker_fixtures import PATIENCE_S
from tests.cloud.web_fixtures import Web, running_web

CHROMIUM = shutil.which("chromium")

expect.set_options(timeout=PATIENCE_S * 1000)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: not in this distribution's packages")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("dashboard"), "api", device_validity_days=40) as web:
        for number in range(4):
            web.enrolled(f"sensor-{number}")
        lifecycle.start_rotation(web.ctx, "sensor-1", key=KeyRequest.EC_P256)
        lifecycle.revoke_device(web.ctx, "sensor-3", "stolen <b>by night</b>")
        yield web


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def stranger(web: Web, browser: Browser) -> Iterator[Page]:
    """Somebody who has not logged in."""
    context = browser.new_context(base_url=web.url("api"), ignore_https_errors=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    yield page
    context.close()
    assert not [text for text in complaints if "Content Security Policy" in text]


@pytest.fixture
def operator(web: Web, stranger: Page) -> Page:
    """Somebody who has."""
    stranger.goto("/")
    stranger.get_by_label("Token").fill(web.tokens[ApiRole.VIEWER])
    stranger.get_by_role("button", name="Log in").click()
    expect(stranger).to_have_title("Overview · fleetpki")
    return stranger


def test_strangers_are_asked_for_a_token(stranger: Page) -> None:
    stranger.goto("/devices")
    expect(stranger).to_have_title("Log in · fleetpki")
    stranger.get_by_label("Token").fill("a guess")
    stranger.get_by_role("button", name="Log in").click()
    expect(stranger.get_by_role("alert")).to_have_text("This is no valid token.")


def test_the_overview_says_how_the_fleet_is(operator: Page) -> None:
    expect(operator.locator(".number").first).to_have_text("4 devices")
    expect(operator.locator(".number.revoked")).to_have_text("1 revoked")
    expect(operator.locator(".chart .count")).to_have_text("3")
    expect(operator.get_by_role("link", name="sensor-1")).to_be_visible()


def test_a_device_is_found_and_shown_with_its_history(operator: Page) -> None:
    operator.get_by_label("Device id").fill("sensor-3")
    operator.keyboard.press("Enter")
    expect(operator).to_have_title("sensor-3 · fleetpki")
    expect(operator.locator("h1 .state")).to_have_text("revoked")
    expect(operator.get_by_text("device.revoked", exact=True)).to_be_visible()
    expect(operator.get_by_text("stolen <b>by night</b>").first).to_be_visible()


def test_a_search_for_a_beginning_lists_what_begins_so(operator: Page) -> None:
    operator.goto("/devices?q=sensor-")
    expect(operator.locator("tbody tr")).to_have_count(4)
    operator.goto("/devices?q=nothing")
    expect(operator.get_by_text("None.")).to_be_visible()


def test_what_somebody_types_is_shown_and_not_executed(operator: Page) -> None:
    operator.goto("/devices?q=%22%3E%3Cscript%3Edocument.title=1%3C/script%3E")
    expect(operator).to_have_title("Devices · fleetpki")
    assert operator.locator("script").count() == 0


def test_the_token_is_out_of_reach_of_scripts_and_other_sites(operator: Page) -> None:
    (cookie,) = operator.context.cookies()
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert cookie["name"].startswith("__Host-")


def test_logging_out_ends_it(operator: Page) -> None:
    operator.get_by_role("button", name="Log out").click()
    expect(operator).to_have_title("Log in · fleetpki")
    operator.goto("/")
    expect(operator).to_have_title("Log in · fleetpki")


def test_a_revoked_token_logs_out_whoever_uses_it(web: Web, stranger: Page) -> None:
    token = lifecycle.create_token(web.ctx, "leaving", ApiRole.VIEWER, valid_for=timedelta(days=1))
    stranger.goto("/login")
    stranger.get_by_label("Token").fill(token)
    stranger.get_by_role("button", name="Log in").click()
    expect(stranger).to_have_title("Overview · fleetpki")
    lifecycle.revoke_token(web.ctx, "leaving")
    stranger.reload()
    expect(stranger).to_have_title("Log in · fleetpki")
