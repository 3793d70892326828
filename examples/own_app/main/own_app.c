/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cert_port_esp/cert_port_esp.h"
#include "esp_log.h"
#include "network.h"

extern const char bootstrap_crt[] asm("_binary_bootstrap_crt_start");
extern const uint8_t bootstrap_key[] asm("_binary_bootstrap_key_start");
extern const uint8_t bootstrap_key_end[] asm("_binary_bootstrap_key_end");
extern const char trust_anchors[] asm("_binary_trust_anchors_pem_start");

void app_main(void)
{
    const cert_port_esp_bootstrap_t bootstrap = {
        .chain_pem = bootstrap_crt,
        .key = bootstrap_key,
        .key_len = (size_t)(bootstrap_key_end - bootstrap_key),
        .anchors_pem = trust_anchors,
    };
    network_start(); /* your network, after esp_netif_init() and esp_event_loop_create_default() */
    if (cert_port_esp_start(&bootstrap) != ESP_OK) { /* a restart would not help; the console says why */
        ESP_LOGE("main", "the certificate agent is not running");
    }
    /* your application */
}
