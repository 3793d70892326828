/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bootstrap_identity.h"
#include "cert_port_esp/cert_port_esp.h"
#include "esp_log.h"
#include "network.h"

void app_main(void)
{
    cert_port_esp_bootstrap_t bootstrap;
    ESP_ERROR_CHECK(network_start());
    if (bootstrap_identity_load(&bootstrap) != ESP_OK || cert_port_esp_start(&bootstrap) != ESP_OK) {
        /* Restarting would not help: say so and wait for somebody to look. */
        ESP_LOGE("main", "the certificate agent is not running, see above");
    }
}
