/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "time_sync.h"

#include "esp_netif_sntp.h"
#include "sdkconfig.h"

esp_err_t time_sync_start(void)
{
    const esp_sntp_config_t config = ESP_NETIF_SNTP_DEFAULT_CONFIG(CONFIG_CERT_APP_SNTP_SERVER);
    return config.servers[0][0] == '\0' ? ESP_OK : esp_netif_sntp_init(&config);
}
