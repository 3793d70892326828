# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What people may enter, at the command line and at the API."""

#: No control characters: texts end up in logs, tables and the audit chain.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"

MAX_REASON = 200
"""Characters of a reason."""
