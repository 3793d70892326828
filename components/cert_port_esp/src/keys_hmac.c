/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* Keys derived from an eFuse key by the HMAC peripheral (cert_key_hmac.h). */
#include <stdio.h>

#include "cert_mgmt/cert_key_hmac.h"
#include "efuse_keys.h"
#include "esp_hmac.h"
#include "esp_log.h"
#include "keys.h"
#include "mbedtls/platform_util.h"
#include "psa/crypto.h"
#include "sdkconfig.h"

#define BLOCK ((esp_efuse_block_t)(EFUSE_BLK_KEY0 + CONFIG_CERT_MGMT_HMAC_EFUSE_KEY_ID))
#define KEYS_LINE_MAX 160

static const char *TAG = "cert_agent";

static uint8_t s_tls_key[CERT_KEY_HMAC_DER_LEN];

static bool has_key(void)
{
    return esp_efuse_get_key_purpose(BLOCK) == ESP_EFUSE_KEY_PURPOSE_HMAC_UP;
}

/* Why the chip's key cannot be made; NULL: it can. */
static const char *refusal(void)
{
    if (!esp_efuse_key_block_unused(BLOCK)) {
        return "the block is used for something else; choose another (CONFIG_CERT_MGMT_HMAC_EFUSE_KEY_ID)";
    }
    return efuse_keys_refusal();
}

static cert_status_t provide(void *ctx)
{
    (void)ctx;
    if (has_key()) {
        return CERT_OK;
    }
    if (refusal() != NULL) {
        ESP_LOGE(TAG, "eFuse block %s holds no key of purpose HMAC_UP, and none is made: %s", efuse_keys_name(BLOCK),
                 refusal());
        return CERT_ERR_UNSUPPORTED;
    }
    uint8_t key[EFUSE_KEY_LEN];
    bool burned = psa_generate_random(key, sizeof(key)) == PSA_SUCCESS &&
                  efuse_keys_burn(BLOCK, ESP_EFUSE_KEY_PURPOSE_HMAC_UP, key) == ESP_OK;
    mbedtls_platform_zeroize(key, sizeof(key));
    return burned ? CERT_OK : CERT_ERR_INTERNAL;
}

static cert_status_t compute_hmac(void *ctx, const uint8_t *message, size_t len, uint8_t *mac)
{
    (void)ctx;
    esp_err_t error = esp_hmac_calculate((hmac_key_id_t)CONFIG_CERT_MGMT_HMAC_EFUSE_KEY_ID, message, len, mac);
    if (error != ESP_OK) {
        ESP_LOGE(TAG, "the HMAC peripheral cannot use eFuse block %s: %s", efuse_keys_name(BLOCK),
                 esp_err_to_name(error));
        return CERT_ERR_INTERNAL;
    }
    return CERT_OK;
}

static const cert_key_hmac_chip_t s_chip = { .provide = provide, .hmac = compute_hmac };

const cert_key_backend_t *keys_backend(void)
{
    static cert_key_backend_t backend;
    backend = cert_key_hmac_backend(&s_chip);
    return &backend;
}

cert_status_t keys_for_tls(cert_key_kind_t kind, const uint8_t *ref, size_t ref_len, keys_tls_t *out)
{
    if (kind == CERT_KEY_KIND_SOFTWARE) {
        *out = (keys_tls_t) { .der = (const char *)ref, .der_len = ref_len };
        return CERT_OK;
    }
    *out = (keys_tls_t) { .der = (const char *)s_tls_key, .der_len = sizeof(s_tls_key) };
    return kind == CERT_KEY_KIND_HMAC ? cert_key_hmac_derive(&s_chip, ref, ref_len, s_tls_key) : CERT_ERR_UNSUPPORTED;
}

void keys_forget_tls(void)
{
    mbedtls_platform_zeroize(s_tls_key, sizeof(s_tls_key));
}

void keys_print(cert_key_kind_t kind, const uint8_t *ref, size_t ref_len, void (*print)(const char *line))
{
    (void)ref;
    (void)ref_len;
    char line[KEYS_LINE_MAX];
    if (kind == CERT_KEY_KIND_HMAC) {
        snprintf(line, sizeof(line), "keys: identity_efuse=%s", efuse_keys_name(BLOCK));
        print(line);
    }
    efuse_keys_print(print);
}

void keys_print_plan(void (*print)(const char *line))
{
    char line[KEYS_LINE_MAX];
    if (has_key()) {
        snprintf(line, sizeof(line), "efuse-plan: nothing, %s holds the key already", efuse_keys_name(BLOCK));
    } else if (refusal() != NULL) {
        snprintf(line, sizeof(line), "efuse-plan: nothing, no key can be burned: %s", refusal());
    } else {
        snprintf(line, sizeof(line),
                 "efuse-plan: a random key into %s, purpose HMAC_UP, when the first key is made; PERMANENT",
                 efuse_keys_name(BLOCK));
    }
    print(line);
}
