# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud's end of the device-cloud protocol: topics, messages, and the services bound to them."""
