# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The dashboard: pages made here, readable without scripts, from the same registry as everything else."""
