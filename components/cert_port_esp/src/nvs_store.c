/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "nvs_store.h"

#include <stdbool.h>

#include "esp_check.h"
#include "esp_idf_version.h"
#include "esp_log.h"
#include "mbedtls/platform_util.h"
#include "nvs.h"
#include "nvs_encryption.h"
#include "nvs_flash.h"
#include "nvs_guard.h"
#include "sdkconfig.h"

#define PARTITION "certs"
#define NAMESPACE "cert_mgmt"

/* Since ESP-IDF 6.0 NVS can overwrite what is replaced or erased; before, encryption has to do. */
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
#define OPEN_MODE NVS_READWRITE_PURGE
#else
#define OPEN_MODE NVS_READWRITE
#endif

static const char *TAG = "cert_agent";
static nvs_handle_t s_nvs;
static bool s_is_open;
static const char *s_problem = "see the log";

#if CONFIG_NVS_ENCRYPTION
static esp_err_t init_partition(void)
{
    nvs_sec_cfg_t keys = { 0 };
    esp_err_t error = nvs_encryption_keys(PARTITION, &keys, &s_problem);
    if (error == ESP_OK) {
        error = nvs_guard_check(PARTITION, &keys, &s_problem);
    }
    if (error == ESP_OK) {
        error = nvs_flash_secure_init_partition(PARTITION, &keys);
    }
    mbedtls_platform_zeroize(&keys, sizeof(keys));
    return error;
}
#else
static esp_err_t init_partition(void)
{
    ESP_RETURN_ON_ERROR(nvs_guard_check(PARTITION, NULL, &s_problem), TAG, "not opened");
    return nvs_flash_init_partition(PARTITION);
}
#endif

esp_err_t nvs_store_open(void)
{
    /* NVS would leave a partition as somebody else has opened it, encrypted or not, and call that a success. */
    nvs_stats_t stats;
    ESP_RETURN_ON_FALSE(nvs_get_stats(PARTITION, &stats) == ESP_ERR_NVS_NOT_INITIALIZED, ESP_ERR_INVALID_STATE, TAG,
                        "NVS partition " PARTITION " is open already: it belongs to this component alone");
    ESP_RETURN_ON_ERROR(init_partition(), TAG, "NVS partition " PARTITION " cannot be used; nothing was changed");
    ESP_RETURN_ON_ERROR(nvs_open_from_partition(PARTITION, NAMESPACE, OPEN_MODE, &s_nvs), TAG,
                        "NVS namespace " NAMESPACE " cannot be opened");
    s_is_open = true;
    return ESP_OK;
}

const char *nvs_store_problem(void)
{
    return s_problem;
}

static cert_status_t status_of(esp_err_t error)
{
    switch (error) {
    case ESP_OK:
        return CERT_OK;
    case ESP_ERR_NVS_NOT_FOUND:
        return CERT_ERR_NOT_FOUND;
    case ESP_ERR_NVS_INVALID_LENGTH:
        return CERT_ERR_TOO_LARGE;
    case ESP_ERR_NVS_NOT_ENOUGH_SPACE:
        return CERT_ERR_STORAGE_FULL;
    default:
        return CERT_ERR_STORAGE;
    }
}

cert_status_t nvs_store_read(const char *key, uint8_t *buf, size_t cap, size_t *len)
{
    if (!s_is_open) {
        return CERT_ERR_STORAGE;
    }
    *len = cap;
    return status_of(nvs_get_blob(s_nvs, key, buf, len));
}

cert_status_t nvs_store_write(const char *key, const uint8_t *data, size_t len)
{
    if (!s_is_open) {
        return CERT_ERR_STORAGE;
    }
    esp_err_t error = nvs_set_blob(s_nvs, key, data, len);
    if (error == ESP_OK) {
        error = nvs_commit(s_nvs);
    }
    return status_of(error);
}

cert_status_t nvs_store_erase(const char *key)
{
    if (!s_is_open) {
        return CERT_ERR_STORAGE;
    }
    esp_err_t error = nvs_erase_key(s_nvs, key);
    if (error == ESP_OK) {
        error = nvs_commit(s_nvs);
    }
    return error == ESP_ERR_NVS_NOT_FOUND ? CERT_OK : status_of(error);
}
