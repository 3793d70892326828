/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "power.h"

#include "esp_partition.h"
#include "esp_private/partition_linux.h"

#define CERTS_SIZE 0x10000

static power_state_t s_state;
static size_t s_pages_erased;
static uint8_t s_saved[CERTS_SIZE];

void power_on_for(size_t steps)
{
    s_state = POWER_IS_ON;
    s_pages_erased = 0;
    /* ESP-IDF 5.5 counts words and pages down together whatever the mode; this is the mode that says so. */
    esp_partition_fail_after(steps, ESP_PARTITION_FAIL_AFTER_MODE_BOTH);
}

power_state_t power_state(void)
{
    return s_state;
}

size_t power_pages_erased(void)
{
    return s_pages_erased;
}

static esp_err_t note(esp_err_t error, power_state_t failed_in)
{
    if (error != ESP_OK) {
        s_state = failed_in;
    }
    return error;
}

/* The linker sends NVS's calls here (main/CMakeLists.txt). */

esp_err_t __real_esp_partition_write(const esp_partition_t *partition, size_t offset, const void *src, size_t size);
esp_err_t __real_esp_partition_write_raw(const esp_partition_t *partition, size_t offset, const void *src, size_t size);
esp_err_t __real_esp_partition_erase_range(const esp_partition_t *partition, size_t offset, size_t size);

esp_err_t __wrap_esp_partition_write(const esp_partition_t *partition, size_t offset, const void *src, size_t size)
{
    if (s_state != POWER_IS_ON) {
        return ESP_FAIL;
    }
    return note(__real_esp_partition_write(partition, offset, src, size), POWER_CUT_IN_WRITE);
}

esp_err_t __wrap_esp_partition_write_raw(const esp_partition_t *partition, size_t offset, const void *src, size_t size)
{
    if (s_state != POWER_IS_ON) {
        return ESP_FAIL;
    }
    return note(__real_esp_partition_write_raw(partition, offset, src, size), POWER_CUT_IN_WRITE);
}

esp_err_t __wrap_esp_partition_erase_range(const esp_partition_t *partition, size_t offset, size_t size)
{
    if (s_state != POWER_IS_ON) {
        return ESP_FAIL;
    }
    esp_err_t error = note(__real_esp_partition_erase_range(partition, offset, size), POWER_CUT_IN_ERASE);
    s_pages_erased += error == ESP_OK ? size / partition->erase_size : 0;
    return error;
}

static const esp_partition_t *certs(void)
{
    return esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, "certs");
}

void flash_erase(void)
{
    power_on_for(POWER_NEVER_CUT);
    ESP_ERROR_CHECK(esp_partition_erase_range(certs(), 0, CERTS_SIZE));
}

void flash_save(void)
{
    ESP_ERROR_CHECK(esp_partition_read_raw(certs(), 0, s_saved, CERTS_SIZE));
}

void flash_restore(void)
{
    flash_erase();
    ESP_ERROR_CHECK(esp_partition_write_raw(certs(), 0, s_saved, CERTS_SIZE));
}
