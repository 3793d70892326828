# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Who is at the command line, by the account they have on this machine."""

import os
import pwd


def account() -> str:
    """The login name this process runs for; behind sudo to root, that of whoever called it.

    Only root is asked for its environment: anybody else may have set theirs to what they like.
    """
    uid = os.getuid()
    caller = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    try:
        return (pwd.getpwnam(caller) if caller else pwd.getpwuid(uid)).pw_name
    except KeyError:
        return str(uid)
