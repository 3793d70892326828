/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * The task that is the device: it alone calls the agent. Everything that happens elsewhere reaches it through the event
 * queue.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cert_mgmt/cert_agent.h"
#include "cert_mgmt/cert_console.h"
#include "cert_port_esp/cert_port_esp.h"
#include "console.h"
#include "esp_app_desc.h"
#include "esp_check.h"
#include "esp_log.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "event_queue.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "mqtt_link.h"
#include "nvs_store.h"
#include "platform.h"
#include "sdkconfig.h"

/* As low as the idle task, which shares the time with it: making an RSA key takes up to a minute and must not starve
 * the idle task, or the task watchdog bites. */
#define TASK_PRIORITY tskIDLE_PRIORITY

#define WAIT_MAX_MS 60000

#if CONFIG_CERT_MGMT_KEY_RSA_3072
#define KEY_TYPE CERT_KEY_RSA_3072
#elif CONFIG_CERT_MGMT_KEY_RSA_2048
#define KEY_TYPE CERT_KEY_RSA_2048
#else
#define KEY_TYPE CERT_KEY_EC_P256
#endif

#if CONFIG_CERT_MGMT_REBOOT_ON_ROTATION
#define REBOOT_ON_ROTATION true
#else
#define REBOOT_ON_ROTATION false
#endif

static const char *TAG = "cert_agent";

static cert_agent_t s_agent;
static cert_agent_config_t s_config;
static cert_settings_t s_settings;      /* as the console sees them */
static cert_settings_t s_boot_settings; /* as they were at boot: a change takes effect at the next restart */
static cert_log_level_t s_log_level = CERT_LOG_INFO;
static bool s_is_booted;
static bool s_restart_requested;

static uint64_t now_ms(void)
{
    return (uint64_t)esp_timer_get_time() / 1000;
}

/* ---------------------------------------------------------------- what the agent asks for */

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
    mqtt_link_open(request, s_boot_settings.broker, bootstrap ? s_boot_settings.bootstrap_port : s_boot_settings.port);
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

static const cert_port_t s_port = {
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

/* ---------------------------------------------------------------- console */

static void print_line(void *ctx, const char *text)
{
    (void)ctx;
    puts(text);
}

#if CONFIG_IDF_TARGET_LINUX
static cert_status_t power_cycle(void *ctx)
{
    (void)ctx;
    s_restart_requested = platform_lose_boot_ram();
    return s_restart_requested ? CERT_OK : CERT_ERR_STORAGE;
}
#endif

static const cert_console_t s_console = {
    .agent = &s_agent,
    .settings = &s_settings,
    .port = &s_port,
    .log_level = &s_log_level,
    .print = print_line,
#if CONFIG_IDF_TARGET_LINUX
    .power_cycle = power_cycle,
#endif
};

/* ---------------------------------------------------------------- the task */

static void handle(event_t *event)
{
    switch (event->type) {
    case EVENT_CONNECTED:
        cert_agent_connected(&s_agent, event->connection, now_ms());
        break;
    case EVENT_DISCONNECTED:
        cert_agent_disconnected(&s_agent, event->connection, event->disconnected.why, event->disconnected.detail,
                                now_ms());
        break;
    case EVENT_DELIVERED:
        cert_agent_delivered(&s_agent, event->connection);
        break;
    case EVENT_MESSAGE:
        cert_agent_message(&s_agent, event->connection, event->message->topic, event->message->payload,
                           event->message->len, now_ms());
        break;
    case EVENT_CONSOLE_LINE:
        cert_console_run(&s_console, event->line);
        break;
    }
    event_dispose(event);
}

/** Boot the agent, or say why it stays offline. */
static void boot_agent(void)
{
    ESP_LOGI(TAG, "version %s, device %s", s_config.firmware, s_config.device_id);
    if (s_boot_settings.broker[0] == '\0') {
        ESP_LOGW(TAG, "no broker is set: `config set broker HOST`, then `restart`");
        return;
    }
    cert_status_t status = cert_agent_boot(&s_agent, now_ms());
    if (status == CERT_OK) {
        s_is_booted = true;
    } else {
        ESP_LOGE(TAG, "cannot use the identity in the store: %s; nothing was changed",
                 status == CERT_ERR_NEWER_FORMAT ? "written by a newer firmware" : "not readable or not writable");
    }
}

static void run(void *arg)
{
    (void)arg;
    boot_agent();
    while (!s_restart_requested) {
        uint32_t wait_ms = s_is_booted ? cert_agent_tick(&s_agent, now_ms()) : WAIT_MAX_MS;
        event_t event;
        if (!s_restart_requested && event_queue_take(&event, wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS)) {
            handle(&event);
        }
    }
    mqtt_link_close();
    platform_restart();
}

/* ---------------------------------------------------------------- start */

static esp_err_t load_settings(void)
{
    cert_settings_default(&s_settings);
    strlcpy(s_settings.broker, CONFIG_CERT_PORT_BROKER, sizeof(s_settings.broker));
    cert_status_t status = cert_settings_load(&s_settings, &s_port);
    ESP_RETURN_ON_FALSE(status == CERT_OK, ESP_ERR_INVALID_STATE, TAG,
                        "cannot use the settings in the store: %s; nothing was changed",
                        status == CERT_ERR_CORRUPT ? "corrupt" : "not readable");
    if (s_settings.id[0] == '\0') {
        char id[CERT_DEVICE_ID_MAX + 1];
        platform_make_id(id, sizeof(id));
        status = cert_settings_set(&s_settings, &s_port, "id", id);
        ESP_RETURN_ON_FALSE(status == CERT_OK, ESP_ERR_INVALID_STATE, TAG, "cannot store the device id: %s",
                            cert_status_code(status));
    }
    s_boot_settings = s_settings;
    return ESP_OK;
}

static esp_err_t init_agent(const cert_port_esp_bootstrap_t *bootstrap)
{
    s_config = (cert_agent_config_t) {
        .device_id = s_boot_settings.id,
        .bootstrap_chain_pem = bootstrap->chain_pem,
        .bootstrap_key = bootstrap->key,
        .bootstrap_key_len = bootstrap->key_len,
        .anchors_pem = bootstrap->anchors_pem,
        .key_type = KEY_TYPE,
        .build_time = CERT_PORT_BUILD_TIME,
        .backoff_min_ms = s_boot_settings.backoff_min_ms,
        .backoff_max_ms = s_boot_settings.backoff_max_ms,
        .reboot_on_rotation = REBOOT_ON_ROTATION,
        .hardware = CONFIG_IDF_TARGET,
        .firmware = esp_app_get_description()->version,
    };
    cert_status_t status = cert_agent_init(&s_agent, &s_config, &s_port);
    ESP_RETURN_ON_FALSE(status == CERT_OK, ESP_ERR_INVALID_ARG, TAG, "cannot start as device \"%s\": %s",
                        s_config.device_id, cert_status_code(status));
    return ESP_OK;
}

esp_err_t cert_port_esp_start(const cert_port_esp_bootstrap_t *bootstrap)
{
    esp_log_level_set("cert_mgmt", ESP_LOG_DEBUG); /* report() knows what is wanted */
    ESP_RETURN_ON_FALSE(event_queue_init(), ESP_ERR_NO_MEM, TAG, "no memory for the event queue");
    ESP_RETURN_ON_ERROR(platform_init(), TAG, "the platform is not ready");
    ESP_RETURN_ON_ERROR(nvs_store_open(), TAG, "the store cannot be used");
    ESP_RETURN_ON_ERROR(load_settings(), TAG, "no settings");
    ESP_RETURN_ON_ERROR(init_agent(bootstrap), TAG, "no agent");
    BaseType_t made = xTaskCreate(run, "cert_agent", CONFIG_CERT_PORT_TASK_STACK, NULL, TASK_PRIORITY, NULL);
    ESP_RETURN_ON_FALSE(made == pdPASS, ESP_ERR_NO_MEM, TAG, "no memory for the agent's task");
    return console_start();
}
