# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Real devices, a disposable cloud and a witness between them: for the demonstration and the system tests."""
