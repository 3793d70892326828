# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What people may enter, at the command line and at the API."""

#: No control characters: texts end up in logs, tables and the audit chain.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"

MAX_REASON = 200
"""Characters of a reason."""

MAX_NUMBER = 2**31 - 1
"""What an integer column of any database holds: counts, and the numbers of rows."""

MAX_RATE = 1_000_000
"""Devices a minute, of a campaign."""

MAX_REENROLLMENT_MINUTES = 60 * 24 * 365
MAX_TOKEN_DAYS = 3650
