# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""How fast the cloud is, as ratios to named peers measured in the same run."""
