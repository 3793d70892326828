/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * RSA keys that only the Digital Signature peripheral can use (cert_key_ds.h). Each takes an eFuse block. What is
 * sealed: the number of the block (4 bytes, the last three 0), the initialisation vector, the ciphertext.
 */
#include <stdio.h>
#include <string.h>

#include "cert_mgmt/cert_key_ds.h"
#include "efuse_keys.h"
#include "esp_ds.h"
#include "esp_heap_caps.h"
#include "esp_idf_version.h"
#include "esp_log.h"
#include "keys.h"
#include "mbedtls/platform_util.h"
#include "nvs_store.h"
#include "psa/crypto.h"
#include "sdkconfig.h"
#include "soc/soc_caps.h"
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
#include "psa_crypto_driver_esp_rsa_ds_contexts.h"
#else
#include "esp_ds/esp_ds_rsa.h"
#endif

#define PURPOSE ESP_EFUSE_KEY_PURPOSE_HMAC_DOWN_DIGITAL_SIGNATURE
#define LAST_KEY "ds_key" /* in the store: the reference of the key made last */
#define BLOCK_LEN 4
#define SEALED_LEN (BLOCK_LEN + ESP_DS_IV_LEN + ESP_DS_C_LEN)
#define CHIP_WORDS (ESP_DS_SIGNATURE_MAX_BIT_LEN / 32)
#define KEYS_LINE_MAX 160

_Static_assert(SEALED_LEN + CERT_PUBLIC_KEY_MAX + 6 <= CERT_KEY_MAX, "a reference has to fit");

static const char *TAG = "cert_agent";

/* The key that was sealed and is not burned yet */
static struct {
    esp_efuse_block_t block;
    uint8_t key[EFUSE_KEY_LEN];
} s_new;

/* Of the connection. esp-tls keeps pointers to it. */
static esp_ds_data_t s_tls_data;
static esp_ds_data_ctx_t s_tls_ctx;

/* Why no further key can be made; NULL: one can. */
static const char *refusal(void)
{
    if (efuse_keys_count(PURPOSE) >= CONFIG_CERT_MGMT_DS_MAX_KEYS) {
        return "as many as allowed are there (CONFIG_CERT_MGMT_DS_MAX_KEYS)";
    }
    if (esp_efuse_find_unused_key_block() == EFUSE_BLK_KEY_MAX) {
        return "no eFuse key block is free";
    }
    return efuse_keys_refusal();
}

static cert_status_t may_seal(void *ctx)
{
    (void)ctx;
    if (refusal() != NULL) {
        ESP_LOGE(TAG, "no further DS key can be made: %s", refusal());
        return CERT_ERR_UNSUPPORTED;
    }
    return CERT_OK;
}

static esp_err_t encrypt(const cert_rsa_operands_t *key, const uint8_t *iv, esp_ds_data_t *data)
{
    esp_ds_p_data_t *plain = heap_caps_calloc(1, sizeof(*plain), MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT);
    if (plain == NULL) {
        return ESP_ERR_NO_MEM;
    }
    memcpy(plain->Y, key->exponent, 4 * CHIP_WORDS);
    memcpy(plain->M, key->modulus, 4 * CHIP_WORDS);
    memcpy(plain->Rb, key->r_squared, 4 * CHIP_WORDS);
    plain->M_prime = key->m_prime;
    plain->length = (uint32_t)key->words - 1;
    data->rsa_length = (esp_digital_signature_length_t)(key->words - 1);
    esp_err_t error = esp_ds_encrypt_params(data, iv, plain, s_new.key);
    mbedtls_platform_zeroize(plain, sizeof(*plain));
    free(plain);
    return error;
}

static cert_status_t seal(void *ctx, const cert_rsa_operands_t *key, uint8_t *sealed, size_t *sealed_len)
{
    (void)ctx;
    uint8_t iv[ESP_DS_IV_LEN];
    s_new.block = esp_efuse_find_unused_key_block();
    if (psa_generate_random(s_new.key, sizeof(s_new.key)) != PSA_SUCCESS ||
            psa_generate_random(iv, sizeof(iv)) != PSA_SUCCESS) {
        return CERT_ERR_INTERNAL;
    }
    esp_ds_data_t *data = heap_caps_calloc(1, sizeof(*data), MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT);
    if (data == NULL) {
        return CERT_ERR_INTERNAL;
    }
    esp_err_t error = encrypt(key, iv, data);
    memset(sealed, 0, BLOCK_LEN);
    sealed[0] = (uint8_t)(s_new.block - EFUSE_BLK_KEY0);
    memcpy(sealed + BLOCK_LEN, data->iv, ESP_DS_IV_LEN);
    memcpy(sealed + BLOCK_LEN + ESP_DS_IV_LEN, data->c, ESP_DS_C_LEN);
    *sealed_len = SEALED_LEN;
    free(data);
    return error == ESP_OK ? CERT_OK : CERT_ERR_INTERNAL;
}

static cert_status_t commit(void *ctx, const uint8_t *ref, size_t ref_len)
{
    (void)ctx;
    cert_status_t status = nvs_store_write(LAST_KEY, ref, ref_len);
    if (status == CERT_OK && efuse_keys_burn(s_new.block, PURPOSE, s_new.key) != ESP_OK) {
        status = CERT_ERR_INTERNAL;
    }
    mbedtls_platform_zeroize(&s_new, sizeof(s_new));
    return status;
}

static bool is_sealed_for_chip(const uint8_t *sealed, size_t sealed_len)
{
    return sealed_len == SEALED_LEN && sealed[0] < EFUSE_BLK_KEY_MAX - EFUSE_BLK_KEY0 &&
           esp_efuse_get_key_purpose((esp_efuse_block_t)(EFUSE_BLK_KEY0 + sealed[0])) == PURPOSE;
}

/* A key that was stored but never burned, as the power went in between, is not found. */
static cert_status_t recall(void *ctx, uint8_t *ref, size_t *ref_len)
{
    (void)ctx;
    cert_key_ds_ref_t parts;
    cert_status_t status = nvs_store_read(LAST_KEY, ref, CERT_KEY_MAX, ref_len);
    if (status == CERT_OK && (cert_key_ds_parse(ref, *ref_len, &parts) != CERT_OK ||
                              !is_sealed_for_chip(parts.sealed, parts.sealed_len))) {
        status = CERT_ERR_NOT_FOUND;
    }
    return status;
}

static void unseal(const uint8_t *sealed, size_t words, esp_ds_data_t *data)
{
    data->rsa_length = (esp_digital_signature_length_t)(words - 1);
    memcpy(data->iv, sealed + BLOCK_LEN, ESP_DS_IV_LEN);
    memcpy(data->c, sealed + BLOCK_LEN + ESP_DS_IV_LEN, ESP_DS_C_LEN);
}

static cert_status_t sign(void *ctx, const uint8_t *sealed, size_t sealed_len, const uint32_t *message, size_t words,
                          uint32_t *signature)
{
    (void)ctx;
    if (!is_sealed_for_chip(sealed, sealed_len) || words > CHIP_WORDS) {
        return CERT_ERR_CORRUPT;
    }
    esp_ds_data_t *data = heap_caps_calloc(1, sizeof(*data), MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT);
    if (data == NULL) {
        return CERT_ERR_INTERNAL;
    }
    unseal(sealed, words, data);
    esp_err_t error = esp_ds_sign(message, data, (hmac_key_id_t)sealed[0], signature);
    free(data);
    if (error != ESP_OK) {
        ESP_LOGE(TAG, "the DS peripheral cannot sign with eFuse block KEY%d: %s", sealed[0], esp_err_to_name(error));
        return error == ESP_ERR_HW_CRYPTO_DS_INVALID_DIGEST ? CERT_ERR_CORRUPT : CERT_ERR_INTERNAL;
    }
    return CERT_OK;
}

static const cert_key_ds_chip_t s_chip = {
    .max_bits = ESP_DS_SIGNATURE_MAX_BIT_LEN,
    .may_seal = may_seal,
    .seal = seal,
    .commit = commit,
    .recall = recall,
    .sign = sign,
};

const cert_key_backend_t *keys_backend(void)
{
    static cert_key_backend_t backend;
    backend = cert_key_ds_backend(&s_chip);
    return &backend;
}

cert_status_t keys_for_tls(cert_key_kind_t kind, const uint8_t *ref, size_t ref_len, keys_tls_t *out)
{
    if (kind == CERT_KEY_KIND_SOFTWARE) {
        *out = (keys_tls_t) { .der = (const char *)ref, .der_len = ref_len };
        return CERT_OK;
    }
    cert_key_ds_ref_t parts;
    if (kind != CERT_KEY_KIND_DS) {
        return CERT_ERR_UNSUPPORTED;
    }
    if (cert_key_ds_parse(ref, ref_len, &parts) != CERT_OK || !is_sealed_for_chip(parts.sealed, parts.sealed_len)) {
        return CERT_ERR_CORRUPT;
    }
    unseal(parts.sealed, parts.bits / 32, &s_tls_data);
    s_tls_ctx = (esp_ds_data_ctx_t) {
        .esp_ds_data = &s_tls_data,
        .efuse_key_id = parts.sealed[0],
        .rsa_length_bits = (uint16_t)parts.bits,
    };
    *out = (keys_tls_t) { .ds_data = &s_tls_ctx };
    return CERT_OK;
}

void keys_forget_tls(void)
{
}

void keys_print(cert_key_kind_t kind, const uint8_t *ref, size_t ref_len, void (*print)(const char *line))
{
    char line[KEYS_LINE_MAX];
    cert_key_ds_ref_t parts;
    if (kind == CERT_KEY_KIND_DS && cert_key_ds_parse(ref, ref_len, &parts) == CERT_OK) {
        snprintf(line, sizeof(line), "keys: identity_efuse=KEY%d bits=%u", parts.sealed[0], (unsigned)parts.bits);
        print(line);
    }
    snprintf(line, sizeof(line), "keys: ds_keys=%u max=%d", efuse_keys_count(PURPOSE), CONFIG_CERT_MGMT_DS_MAX_KEYS);
    print(line);
    efuse_keys_print(print);
}

void keys_print_plan(void (*print)(const char *line))
{
    char line[KEYS_LINE_MAX];
    if (refusal() != NULL) {
        snprintf(line, sizeof(line), "efuse-plan: nothing, no key can be burned: %s", refusal());
    } else {
        snprintf(line, sizeof(line),
                 "efuse-plan: a random key into %s, purpose HMAC_DOWN_DIGITAL_SIGNATURE, when the next RSA key is "
                 "made; PERMANENT",
                 efuse_keys_name(esp_efuse_find_unused_key_block()));
    }
    print(line);
}
