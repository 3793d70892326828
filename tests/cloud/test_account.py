# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Whom the audit chain names for what is done at the command line."""

import os
import pwd

import pytest

from fleetpki.account import account
from fleetpki.lifecycle.context import OPERATOR

SOMEBODY = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)


def running_as(monkeypatch: pytest.MonkeyPatch, uid: int, sudo_user: str) -> str:
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setenv("SUDO_USER", sudo_user)
    for variable in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(variable, "mallory")
    return account()


def test_it_is_the_login_name_of_the_account() -> None:
    assert f"operator:{account()}" == OPERATOR


def test_behind_sudo_it_is_who_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert running_as(monkeypatch, 0, SOMEBODY.pw_name) == SOMEBODY.pw_name


def test_nobody_but_root_is_believed_whom_sudo_ran_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert running_as(monkeypatch, SOMEBODY.pw_uid, "root") == SOMEBODY.pw_name


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert running_as(monkeypatch, 4_000_000, "") == "4000000"


def test_a_caller_without_an_account_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert running_as(monkeypatch, 0, "no-such-account") == "0"
