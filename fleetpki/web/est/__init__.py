# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Enrollment over Secure Transport (RFC 7030, clarified by RFC 8951): certificates for devices, by HTTPS."""
