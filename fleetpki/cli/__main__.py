# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Run the command with ``python -m fleetpki.cli``."""

from fleetpki.cli import main

main()
