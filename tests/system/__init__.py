# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of device and cloud together: the real agent, a real Mosquitto, real TLS."""
