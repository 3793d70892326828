# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Keys, profiles, certification requests and the authorities that sign. Knows no database and no network."""
