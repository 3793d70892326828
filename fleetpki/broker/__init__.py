# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Makes and runs a Mosquitto with the fleetpki plugin, and answers the plugin's questions."""
