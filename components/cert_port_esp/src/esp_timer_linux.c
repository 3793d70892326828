/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* ESP-IDF has no esp_timer on the `linux` target; esp-mqtt and we need its clock. */
#include <time.h>

#include "esp_timer.h"

__attribute__((weak)) int64_t esp_timer_get_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
