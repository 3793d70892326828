/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "nvs_guard.h"

#include "esp_check.h"
#include "nvs_cipher.h"
#include "nvs_pages.h"
#include "sdkconfig.h"

#define OR_ANEW ", or erase the partition and enrol anew"
#define NOT_ENCRYPTED "it is not encrypted, and this firmware encrypts it: flash firmware without CONFIG_NVS_ENCRYPTION"
#define OTHER_KEYS "it was encrypted with other keys than this chip has: bring them back"
#define ENCRYPTED "it is encrypted, and this firmware does not encrypt it: flash firmware with CONFIG_NVS_ENCRYPTION"

static const char *TAG = "cert_agent";

#if CONFIG_NVS_ENCRYPTION
static esp_err_t survey(const char *partition, const nvs_sec_cfg_t *keys, nvs_pages_t *found)
{
    nvs_cipher_t cipher;
    esp_err_t error = nvs_cipher_open(&cipher, keys)
                      ? nvs_pages_survey(partition, nvs_cipher_decrypt, &cipher, found) : ESP_ERR_NO_MEM;
    nvs_cipher_close(&cipher);
    return error;
}

static const char *explain(const char *partition)
{
    nvs_pages_t plain;
    bool is_plain = nvs_pages_survey(partition, NULL, NULL, &plain) == ESP_OK && plain == NVS_PAGES_READABLE;
    return is_plain ? NOT_ENCRYPTED OR_ANEW : OTHER_KEYS OR_ANEW;
}
#else
static esp_err_t survey(const char *partition, const nvs_sec_cfg_t *keys, nvs_pages_t *found)
{
    (void)keys;
    return nvs_pages_survey(partition, NULL, NULL, found);
}

static const char *explain(const char *partition)
{
    (void)partition;
    return ENCRYPTED OR_ANEW;
}
#endif

esp_err_t nvs_guard_check(const char *partition, const nvs_sec_cfg_t *keys, const char **problem)
{
    nvs_pages_t found;
    ESP_RETURN_ON_ERROR(survey(partition, keys, &found), TAG, "NVS partition %s cannot be looked at", partition);
    if (found == NVS_PAGES_FOREIGN) {
        *problem = explain(partition);
        ESP_LOGE(TAG, "NVS partition %s cannot be read: %s", partition, *problem);
        return ESP_ERR_NVS_WRONG_ENCRYPTION;
    }
    return ESP_OK;
}
