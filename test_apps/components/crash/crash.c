/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crash.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

crash_kind_t crash_from_name(const char *name)
{
    static const char *const names[] = {
        [CRASH_NONE] = "none",
        [CRASH_ABORT] = "abort",
        [CRASH_TASK_WATCHDOG] = "task-watchdog",
        [CRASH_INTERRUPT_WATCHDOG] = "interrupt-watchdog",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return (crash_kind_t)i;
        }
    }
    return CRASH_NONE;
}

static void spin(void)
{
    while (true) {
    }
}

void crash(crash_kind_t kind)
{
    switch (kind) {
    case CRASH_NONE:
        break;
    case CRASH_ABORT:
        abort();
#if CONFIG_ESP_TASK_WDT_INIT
    case CRASH_TASK_WATCHDOG:
        vTaskPrioritySet(NULL, configMAX_PRIORITIES - 1);
        spin();
        break;
#endif
#if CONFIG_ESP_INT_WDT
    case CRASH_INTERRUPT_WATCHDOG:
        portDISABLE_INTERRUPTS();
        spin();
        break;
#endif
    default:
        break;
    }
}
