# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The fleet's memory: devices, certificates, rotations, the outbox and the audit chain."""
