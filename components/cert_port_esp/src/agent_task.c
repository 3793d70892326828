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

#include "agent_port.h"
#include "cert_mgmt/cert_agent.h"
#include "cert_mgmt/cert_console.h"
#include "cert_port_esp/cert_port_esp.h"
#include "console.h"
#include "esp_app_desc.h"
#include "esp_check.h"
#include "esp_log.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "event_queue.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "keys.h"
#include "long_call.h"
#include "mqtt_link.h"
#include "network_watch.h"
#include "nvs_store.h"
#include "platform.h"
#include "sdkconfig.h"
#include "time_sync.h"

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

#ifdef CONFIG_CERT_PORT_TIME_SERVER
#define DEFAULT_TIME_SERVER CONFIG_CERT_PORT_TIME_SERVER
#else
#define DEFAULT_TIME_SERVER ""
#endif

static const char *TAG = "cert_agent";

static cert_agent_t s_agent;
static cert_agent_config_t s_config;
static cert_settings_t s_settings;      /* as the console sees them */
static cert_settings_t s_boot_settings; /* as they were at boot: a change takes effect at the next restart */
static esp_err_t s_store_error;         /* why there is no agent; ESP_OK: there is one */
static bool s_is_booted;
static uint64_t s_boot_again_at_ms;     /* 0: booted, or no use */
static uint32_t s_boot_delay_ms;

static uint64_t now_ms(void)
{
    return (uint64_t)esp_timer_get_time() / 1000;
}

/* ---------------------------------------------------------------- console */

static void print_line(void *ctx, const char *text)
{
    (void)ctx;
    puts(text);
}

static void print_key_line(const char *line)
{
    puts(line);
}

static void print_efuses(void *ctx, bool plan)
{
    (void)ctx;
    if (plan) {
        keys_print_plan(print_key_line);
    } else {
        keys_print(s_agent.identity.key_kind, s_agent.identity.key, s_agent.identity.key_len, print_key_line);
    }
}

#if CONFIG_IDF_TARGET_LINUX
static cert_status_t power_cycle(void *ctx)
{
    (void)ctx;
    if (!platform_lose_boot_ram()) {
        return CERT_ERR_STORAGE;
    }
    agent_port.restart(agent_port.ctx);
    return CERT_OK;
}
#endif

/** What the port adds to the answer to `status`. */
static void print_port_status(void)
{
    if (s_store_error != ESP_OK) {
        printf("store: error=0x%x, nothing was changed; %s\n", (unsigned)s_store_error, nvs_store_problem());
    }
    if (!network_watch_is_up()) {
        puts("network: waiting for an address");
    }
#if !CONFIG_IDF_TARGET_LINUX
    printf("memory: heap_free=%" PRIu32 " heap_lowest=%" PRIu32 " stack_lowest=%u\n", esp_get_free_heap_size(),
           esp_get_minimum_free_heap_size(), (unsigned)uxTaskGetStackHighWaterMark(NULL));
#endif
}

static void run_line(const char *line)
{
    const cert_console_t console = {
        .agent = &s_agent,
        .settings = &s_settings,
        .port = &agent_port,
        .log_level = agent_port_log_level(),
        .print = print_line,
        .clock_source = time_sync_source(),
        .efuses = print_efuses,
#if CONFIG_IDF_TARGET_LINUX
        .power_cycle = power_cycle,
#endif
    };
    cert_console_run(&console, line);
    if (strncmp(line, "status", strlen("status")) == 0) {
        print_port_status();
    }
}

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
        run_line(event->line);
        break;
    case EVENT_NETWORK: /* what follows from it is seen by the next look */
        break;
    }
    event_dispose(event);
}

/** Boot the agent. A store that cannot be read now may be later: that is tried again, ever less often. */
static void try_boot(void)
{
    s_boot_again_at_ms = 0;
    cert_status_t status = cert_agent_boot(&s_agent, now_ms());
    s_is_booted = status == CERT_OK;
    if (status == CERT_ERR_NEWER_FORMAT) {
        ESP_LOGE(TAG, "cannot use the identity in the store: written by a newer firmware; nothing was changed");
    } else if (!s_is_booted) {
        uint32_t max = s_config.backoff_max_ms;
        uint32_t last = s_boot_delay_ms;
        s_boot_delay_ms = last == 0 ? s_config.backoff_min_ms : last > max / 2 ? max : 2 * last;
        s_boot_again_at_ms = now_ms() + s_boot_delay_ms;
        ESP_LOGE(TAG, "cannot read the identity in the store: %s; next try in %" PRIu32 " ms",
                 cert_status_code(status), s_boot_delay_ms);
    }
}

/** Boot the agent, or say why it stays offline. */
static void boot_agent(void)
{
    if (s_store_error != ESP_OK) {
        ESP_LOGE(TAG, "offline: the store cannot be used; nothing was changed");
        return;
    }
    ESP_LOGI(TAG, "version %s, device %s", s_config.firmware, s_config.device_id);
    if (s_boot_settings.broker[0] == '\0') {
        ESP_LOGW(TAG, "no broker is set: `config set broker HOST`, then `restart`");
        return;
    }
    try_boot();
}

/** Let time pass for the agent. Without a network it keeps waiting: attempts that must fail make the next one late. */
static uint32_t tick(void)
{
    uint64_t now = now_ms();
    if (s_boot_again_at_ms != 0 && now >= s_boot_again_at_ms) {
        try_boot();
    }
    if (s_boot_again_at_ms != 0) {
        return (uint32_t)(s_boot_again_at_ms - now);
    }
    bool has_nothing_to_do = s_agent.phase == CERT_PHASE_WAITING && !network_watch_is_up();
    return !s_is_booted || has_nothing_to_do ? WAIT_MAX_MS : cert_agent_tick(&s_agent, now_ms());
}

static void run(void *arg)
{
    (void)arg;
    boot_agent();
    while (!agent_port_restart_requested()) {
        long_call_begin();
        uint32_t wait_ms = tick();
        wait_ms = wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
        event_t event;
        if (!agent_port_restart_requested() && event_queue_take(&event, wait_ms)) {
            long_call_begin();
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
    strlcpy(s_settings.time_server, DEFAULT_TIME_SERVER, sizeof(s_settings.time_server));
    cert_status_t status = cert_settings_load(&s_settings, &agent_port);
    ESP_RETURN_ON_FALSE(status == CERT_OK, ESP_ERR_INVALID_STATE, TAG,
                        "cannot use the settings in the store: %s; nothing was changed",
                        status == CERT_ERR_CORRUPT ? "corrupt" : "not readable");
    if (s_settings.id[0] == '\0') {
        char id[CERT_DEVICE_ID_MAX + 1];
        platform_make_id(id, sizeof(id));
        status = cert_settings_set(&s_settings, &agent_port, "id", id);
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
        .key_backend = keys_backend(),
        .build_time = CERT_PORT_BUILD_TIME,
        .backoff_min_ms = s_boot_settings.backoff_min_ms,
        .backoff_max_ms = s_boot_settings.backoff_max_ms,
        .reboot_on_rotation = REBOOT_ON_ROTATION,
        .hardware = CONFIG_IDF_TARGET,
        .firmware = esp_app_get_description()->version,
    };
    cert_status_t status = cert_agent_init(&s_agent, &s_config, &agent_port);
    ESP_RETURN_ON_FALSE(status == CERT_OK, ESP_ERR_INVALID_ARG, TAG, "cannot start as device \"%s\": %s",
                        s_config.device_id, cert_status_code(status));
    return ESP_OK;
}

static esp_err_t prepare(const cert_port_esp_bootstrap_t *bootstrap)
{
    agent_port_configure(&s_boot_settings);
    s_store_error = nvs_store_open();
    if (s_store_error == ESP_OK) {
        s_store_error = load_settings();
    }
    if (s_store_error != ESP_OK) {
        return ESP_OK;
    }
    time_sync_start(s_boot_settings.time_server);
    return init_agent(bootstrap);
}

esp_err_t cert_port_esp_start(const cert_port_esp_bootstrap_t *bootstrap)
{
    esp_log_level_set("cert_mgmt", ESP_LOG_DEBUG); /* the port's log() knows what is wanted */
    ESP_RETURN_ON_FALSE(event_queue_init(), ESP_ERR_NO_MEM, TAG, "no memory for the event queue");
    ESP_RETURN_ON_ERROR(network_watch_start(), TAG, "no news of the network");
    ESP_RETURN_ON_ERROR(platform_init(), TAG, "the platform is not ready");
    ESP_RETURN_ON_ERROR(prepare(bootstrap), TAG, "no agent");
    BaseType_t made = xTaskCreate(run, "cert_agent", CONFIG_CERT_PORT_TASK_STACK, NULL, TASK_PRIORITY, NULL);
    ESP_RETURN_ON_FALSE(made == pdPASS, ESP_ERR_NO_MEM, TAG, "no memory for the agent's task");
    ESP_RETURN_ON_ERROR(console_start(), TAG, "no console");
    return s_store_error;
}
