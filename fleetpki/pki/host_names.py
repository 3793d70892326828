# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Names of hosts, as certificates have them."""

import re

from fleetpki.errors import FleetError

_HOST_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")


def check_host_name(text: str) -> str:
    """A name as DNS knows it, or one for all below it; whatever else somebody wrote is refused."""
    if _HOST_NAME.fullmatch(text) is None:
        raise FleetError(
            f"{text!r} is neither a host name nor an IP address",
            "write names of other alphabets in their xn-- form",
            exit_code=2,
        )
    return text
