# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""HTTP: the API and the dashboard for operators, EST for devices, CRLs and OCSP for everybody.

No rule is here: every request ends in a function of ``lifecycle``, as every command does.
"""
