/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The bootstrap identity that is built into this firmware.
 */
#pragma once

#include "cert_port_esp/cert_port_esp.h"

/**
 * @brief Find the bootstrap identity.
 *
 * On the `linux` target the files in $CERT_AGENT_BOOTSTRAP_DIR, if that is set, take the place of what is built in.
 * @return ESP_OK; ESP_ERR_NOT_FOUND after a message (linux target only)
 */
esp_err_t bootstrap_identity_load(cert_port_esp_bootstrap_t *identity);
