/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "esp_attr.h"
#include "esp_mac.h"
#include "esp_system.h"
#include "platform.h"

/*
 * RTC memory survives every kind of reset but a power-on. Chips without it keep .noinit over esp_restart() and panics.
 */
#if CONFIG_SOC_RTC_FAST_MEM_SUPPORTED || CONFIG_SOC_RTC_SLOW_MEM_SUPPORTED
static RTC_NOINIT_ATTR cert_boot_ram_t s_boot_ram;
#else
static __NOINIT_ATTR cert_boot_ram_t s_boot_ram;
#endif

esp_err_t platform_init(void)
{
    return ESP_OK;
}

cert_boot_ram_t *platform_boot_ram(void)
{
    return &s_boot_ram;
}

void platform_make_id(char *id, size_t cap)
{
    uint8_t mac[8] = { 0 }; /* 8: chips with an IEEE 802.15.4 radio have an EUI-64 */
    ESP_ERROR_CHECK(esp_efuse_mac_get_default(mac));
    snprintf(id, cap, "%s-%02x%02x%02x%02x%02x%02x", CONFIG_IDF_TARGET, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void platform_restart(void)
{
    esp_restart();
}
