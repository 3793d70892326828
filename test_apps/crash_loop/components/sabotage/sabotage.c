/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Makes the firmware crash whenever it is about to connect with an identity on trial, from `sabotage HOW` at the
 * console until the next loss of power: as firmware would that cannot stand something in a new certificate.
 */
#include <stdio.h>

#include "console.h"
#include "crash.h"
#include "esp_attr.h"
#include "esp_check.h"
#include "esp_console.h"
#include "esp_system.h"
#include "mqtt_link.h"

static RTC_NOINIT_ATTR crash_kind_t s_kind;

/* The linker sends the calls of the port here (CMakeLists.txt). */
void __real_mqtt_link_open(const cert_connect_t *request, const char *host, uint32_t port);
void __wrap_mqtt_link_open(const cert_connect_t *request, const char *host, uint32_t port);
esp_err_t __real_console_start(void);
esp_err_t __wrap_console_start(void);

void __wrap_mqtt_link_open(const cert_connect_t *request, const char *host, uint32_t port)
{
    if (request->identity == CERT_IDENTITY_TRIAL) {
        crash(s_kind);
    }
    __real_mqtt_link_open(request, host, port);
}

static int sabotage(int argc, char **argv)
{
    s_kind = argc == 2 ? crash_from_name(argv[1]) : CRASH_NONE;
    printf("sabotage: %s\n", s_kind == CRASH_NONE ? "none" : argv[1]);
    return 0;
}

esp_err_t __wrap_console_start(void)
{
    static const esp_console_cmd_t command = { .command = "sabotage", .help = "Crash on trial", .func = sabotage };
    esp_reset_reason_t reason = esp_reset_reason();
    if (reason == ESP_RST_POWERON || reason == ESP_RST_UNKNOWN) {
        s_kind = CRASH_NONE;
    }
    ESP_RETURN_ON_ERROR(__real_console_start(), "sabotage", "the console");
    return esp_console_cmd_register(&command);
}
