/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "time_sync.h"

#include "sdkconfig.h"

#if CONFIG_CERT_PORT_SNTP
#include <stdatomic.h>

#include "esp_err.h"
#include "esp_log.h"
#include "esp_netif_sntp.h"

static const char *TAG = "cert_agent";
static atomic_bool s_is_set; /* by the task of lwIP */

static void on_time(struct timeval *time)
{
    (void)time;
    if (!atomic_exchange(&s_is_set, true)) {
        ESP_LOGI(TAG, "the clock has been set by SNTP");
    }
}

/* That there is no SNTP must not keep the device from its cloud: it can do without the time. */
void time_sync_start(const char *server)
{
    if (server[0] == '\0') {
        return;
    }
    esp_sntp_config_t config = ESP_NETIF_SNTP_DEFAULT_CONFIG(server);
    config.wait_for_sync = false;
    config.sync_cb = on_time;
    esp_err_t error = esp_netif_sntp_init(&config);
    if (error == ESP_ERR_INVALID_STATE) {
        ESP_LOGW(TAG, "the application runs SNTP itself: switch CONFIG_CERT_PORT_SNTP off");
    } else if (error != ESP_OK) {
        ESP_LOGE(TAG, "SNTP does not start: %s", esp_err_to_name(error));
    }
}

/* Over a restart the chip keeps its clock, but not who has set it. */
const char *time_sync_source(void)
{
    return s_is_set ? "sntp" : "clock";
}
#else
void time_sync_start(const char *server)
{
    (void)server;
}

const char *time_sync_source(void)
{
    return "clock";
}
#endif
