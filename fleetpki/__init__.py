# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud half: certificate authority, registry, enrolment, rotation and revocation for IoT fleets."""
