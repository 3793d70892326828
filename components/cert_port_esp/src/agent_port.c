/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "agent_port.h"

#include <time.h>

#include "esp_log.h"
#include "esp_random.h"
#include "mqtt_link.h"
#include "nvs_store.h"
#include "platform.h"

static const cert_settings_t *s_settings;
static cert_log_level_t s_log_level = CERT_LOG_INFO;
static bool s_restart_requested;

static cert_status_t kv_read(void *ctx, const char *key, uint8_t *buf, size_t cap, size_t *len)
{
    (void)ctx;
    return nvs_store_read(key, buf, cap, len);
}

static cert_status_t kv_write(void *ctx, const char *key, const uint8_t *data, size_t len)
{
    (void)ctx;
    return nvs_store_write(key, data, len);
}

static cert_status_t kv_erase(void *ctx, const char *key)
{
    (void)ctx;
    return nvs_store_erase(key);
}

static cert_boot_ram_t *boot_ram(void *ctx)
{
    (void)ctx;
    return platform_boot_ram();
}

static int64_t wall_clock(void *ctx)
{
    (void)ctx;
    int64_t now = (int64_t)time(NULL);
    return now >= CERT_PORT_BUILD_TIME ? now : 0;
}

static void fill_random(void *ctx, uint8_t *buf, size_t len)
{
    (void)ctx;
    esp_fill_random(buf, len);
}

static void connect_mqtt(void *ctx, const cert_connect_t *request)
{
    (void)ctx;
    bool bootstrap = request->identity == CERT_IDENTITY_BOOTSTRAP;
    mqtt_link_open(request, s_settings->broker, bootstrap ? s_settings->bootstrap_port : s_settings->port);
}

static void disconnect_mqtt(void *ctx)
{
    (void)ctx;
    mqtt_link_close();
}

static void subscribe(void *ctx, const char *topic)
{
    (void)ctx;
    mqtt_link_subscribe(topic);
}

static cert_status_t publish(void *ctx, const char *topic, const char *payload, size_t len)
{
    (void)ctx;
    return mqtt_link_publish(topic, payload, len);
}

static void request_restart(void *ctx)
{
    (void)ctx;
    s_restart_requested = true;
}

static void report(void *ctx, cert_log_level_t level, const char *line)
{
    (void)ctx;
    static const esp_log_level_t levels[] = {
        [CERT_LOG_ERROR] = ESP_LOG_ERROR,
        [CERT_LOG_WARN] = ESP_LOG_WARN,
        [CERT_LOG_INFO] = ESP_LOG_INFO,
        [CERT_LOG_DEBUG] = ESP_LOG_DEBUG,
    };
    if (level <= s_log_level) {
        ESP_LOG_LEVEL(levels[level], "cert_mgmt", "%s", line);
    }
}

const cert_port_t agent_port = {
    .kv_read = kv_read,
    .kv_write = kv_write,
    .kv_erase = kv_erase,
    .boot_ram = boot_ram,
    .wall_clock = wall_clock,
    .random = fill_random,
    .connect = connect_mqtt,
    .disconnect = disconnect_mqtt,
    .subscribe = subscribe,
    .publish = publish,
    .restart = request_restart,
    .log = report,
};

void agent_port_configure(const cert_settings_t *settings)
{
    s_settings = settings;
}

cert_log_level_t *agent_port_log_level(void)
{
    return &s_log_level;
}

bool agent_port_restart_requested(void)
{
    return s_restart_requested;
}
