/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "efuse_keys.h"

#include <stdbool.h>
#include <stdio.h>

#include "esp_efuse_table.h"
#include "esp_log.h"
#include "sdkconfig.h"

#define KEYS_LINE_MAX 96

static const char *TAG = "cert_agent";

const char *efuse_keys_refusal(void)
{
#if CONFIG_CERT_MGMT_EFUSE_BURN
    /* Secure boot locks this on its first start. A key that software can read protects nothing. */
    return esp_efuse_read_field_bit(ESP_EFUSE_WR_DIS_RD_DIS)
           ? "the read protection of eFuse blocks is locked (secure boot does that on its first start)"
           : NULL;
#else
    return "this firmware may not burn eFuses (CONFIG_CERT_MGMT_EFUSE_BURN is off)";
#endif
}

unsigned efuse_keys_count(esp_efuse_purpose_t purpose)
{
    unsigned count = 0;
    for (esp_efuse_block_t block = EFUSE_BLK_KEY0; block < EFUSE_BLK_KEY_MAX; block++) {
        count += esp_efuse_get_key_purpose(block) == purpose;
    }
    return count;
}

const char *efuse_keys_name(esp_efuse_block_t block)
{
    static const char *const names[] = { "KEY0", "KEY1", "KEY2", "KEY3", "KEY4", "KEY5" };
    return names[block - EFUSE_BLK_KEY0];
}

static bool is_burned(esp_efuse_block_t block, esp_efuse_purpose_t purpose)
{
    return esp_efuse_get_key_purpose(block) == purpose && esp_efuse_get_key_dis_read(block) &&
           esp_efuse_get_key_dis_write(block);
}

esp_err_t efuse_keys_burn(esp_efuse_block_t block, esp_efuse_purpose_t purpose, const uint8_t *key)
{
    const char *refusal = efuse_keys_refusal();
    if (refusal != NULL) {
        ESP_LOGE(TAG, "no eFuse key can be burned: %s", refusal);
        return ESP_ERR_NOT_ALLOWED;
    }
    ESP_LOGW(TAG, "burning eFuse block %s, purpose %d: this is permanent", efuse_keys_name(block), (int)purpose);
    esp_err_t error = esp_efuse_write_key(block, purpose, key, EFUSE_KEY_LEN);
    if (error != ESP_OK || !is_burned(block, purpose)) {
        ESP_LOGE(TAG, "eFuse block %s could not be burned: %s", efuse_keys_name(block), esp_err_to_name(error));
        return ESP_ERR_INVALID_STATE;
    }
    return ESP_OK;
}

static void print_purpose(char *out, size_t cap, esp_efuse_purpose_t purpose)
{
    if (purpose == ESP_EFUSE_KEY_PURPOSE_HMAC_UP) {
        snprintf(out, cap, "HMAC_UP");
    } else if (purpose == ESP_EFUSE_KEY_PURPOSE_HMAC_DOWN_DIGITAL_SIGNATURE) {
        snprintf(out, cap, "HMAC_DOWN_DIGITAL_SIGNATURE");
    } else {
        snprintf(out, cap, "%d", (int)purpose);
    }
}

void efuse_keys_print(void (*print)(const char *line))
{
    for (esp_efuse_block_t block = EFUSE_BLK_KEY0; block < EFUSE_BLK_KEY_MAX; block++) {
        char line[KEYS_LINE_MAX];
        char purpose[32];
        if (esp_efuse_key_block_unused(block)) {
            snprintf(line, sizeof(line), "keys: efuse=%s free", efuse_keys_name(block));
        } else {
            print_purpose(purpose, sizeof(purpose), esp_efuse_get_key_purpose(block));
            snprintf(line, sizeof(line), "keys: efuse=%s purpose=%s readable=%s", efuse_keys_name(block), purpose,
                     esp_efuse_get_key_dis_read(block) ? "no" : "yes");
        }
        print(line);
    }
}
