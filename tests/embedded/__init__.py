# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the firmware need around it: the machines it runs on, and a cloud. See README.md."""
