# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Watching over a fleet: the monitor's rounds, the delivery of alerts, health and metrics."""
