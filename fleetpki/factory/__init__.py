# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to a device before it is born: allow-list, secrets, flash images, flashing."""
