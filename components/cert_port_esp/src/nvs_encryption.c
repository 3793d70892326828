/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "nvs_encryption.h"

#include <stdbool.h>
#include <stdint.h>

#include "esp_check.h"
#include "esp_efuse.h"
#include "esp_efuse_table.h"
#include "esp_log.h"
#include "esp_partition.h"
#include "nvs_sec_provider.h"
#include "sdkconfig.h"

#if CONFIG_NVS_SEC_KEY_PROTECT_USING_HMAC
#define WHERE_KEYS_ARE "eFuse key block " STRINGIFY(CONFIG_NVS_SEC_HMAC_EFUSE_KEY_ID)
#define NO_KEYS ESP_ERR_NVS_SEC_HMAC_KEY_NOT_FOUND
#define START_ANEW "set NVS_SEC_HMAC_EFUSE_KEY_ID to another block, erase the partition and enrol anew"
#else
#define WHERE_KEYS_ARE "the partition nvs_keys"
#define NO_KEYS ESP_ERR_NVS_KEYS_NOT_INITIALIZED
#define START_ANEW "erase the partition, and nvs_keys, and enrol anew"
#endif
#define NONE_HERE "there are no NVS encryption keys in " WHERE_KEYS_ARE
#define STRINGIFY(value) STRINGIFY_EXPANDED(value)
#define STRINGIFY_EXPANDED(value) #value

static const char *TAG = "cert_agent";

#if CONFIG_CERT_PORT_NVS_MAKE_KEYS
/** Whether nothing has been written since the partition was erased. One that cannot be read counts as written. */
static bool is_blank(const char *name)
{
    const esp_partition_t *partition =
        esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, name);
    if (partition == NULL) {
        return false;
    }
    uint32_t words[64];
    for (size_t offset = 0; offset < partition->size; offset += sizeof(words)) {
        if (esp_partition_read_raw(partition, offset, words, sizeof(words)) != ESP_OK) {
            return false;
        }
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (words[i] != UINT32_MAX) {
                return false;
            }
        }
    }
    return true;
}

#if CONFIG_NVS_SEC_KEY_PROTECT_USING_HMAC
/** Secure boot locks the read protection of eFuse blocks on its first start. A key that software can read is none. */
static bool can_protect_keys(void)
{
    return !esp_efuse_read_field_bit(ESP_EFUSE_WR_DIS_RD_DIS);
}
#else
static bool can_protect_keys(void)
{
    return true;
}
#endif

/** Keys are made in several writes: a power cut among them leaves some that are none, and nothing encrypted yet. */
static bool were_cut_short(esp_err_t error, const char *partition)
{
    return error == ESP_ERR_NVS_CORRUPT_KEY_PART && is_blank(partition);
}

static esp_err_t make_keys(nvs_sec_scheme_t *scheme, const char *partition, nvs_sec_cfg_t *keys, const char **problem)
{
    if (!can_protect_keys()) {
        *problem = NONE_HERE ", and none can be made any more: the read protection of eFuses is locked. The factory "
                   "burns the key before the first secure start";
        return NO_KEYS;
    }
    if (!is_blank(partition)) {
        *problem = NONE_HERE ", but there is something encrypted with some: bring them back, or erase the partition "
                   "and enrol anew";
        return NO_KEYS;
    }
    ESP_LOGW(TAG, "first start: making the NVS encryption keys in " WHERE_KEYS_ARE);
    return nvs_flash_generate_keys_v2(scheme, keys);
}
#else
static bool were_cut_short(esp_err_t error, const char *partition)
{
    (void)error;
    (void)partition;
    return false;
}

static esp_err_t make_keys(nvs_sec_scheme_t *scheme, const char *partition, nvs_sec_cfg_t *keys, const char **problem)
{
    (void)scheme;
    (void)partition;
    (void)keys;
    *problem = NONE_HERE ": the factory has to put them there, or set CONFIG_CERT_PORT_NVS_MAKE_KEYS";
    return NO_KEYS;
}
#endif

static esp_err_t find_keys(const char *partition, nvs_sec_cfg_t *keys, const char **problem)
{
    nvs_sec_scheme_t *scheme = nvs_flash_get_default_security_scheme();
    if (scheme == NULL) {
        *problem = "NVS encryption is on, but no scheme for its keys is chosen in menuconfig";
        return ESP_ERR_INVALID_STATE;
    }
    esp_err_t error = nvs_flash_read_security_cfg_v2(scheme, keys);
    if (error == NO_KEYS || were_cut_short(error, partition)) {
        return make_keys(scheme, partition, keys, problem);
    }
    if (error != ESP_OK) {
        *problem = "the NVS encryption keys in " WHERE_KEYS_ARE " cannot be used, and none are made: bring them back, "
                   "or " START_ANEW;
    }
    return error;
}

esp_err_t nvs_encryption_keys(const char *partition, nvs_sec_cfg_t *keys, const char **problem)
{
    esp_err_t error = find_keys(partition, keys, problem);
    ESP_RETURN_ON_ERROR(error, TAG, "NVS partition %s: %s", partition, *problem);
    return ESP_OK;
}
