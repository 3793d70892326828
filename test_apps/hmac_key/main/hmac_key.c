/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* Keys derived from an eFuse key by the real HMAC peripheral, see README.md. */
#include <stdio.h>
#include <string.h>

#include "efuse_keys.h"
#include "esp_timer.h"
#include "keys.h"
#include "mbedtls/pk.h"
#include "psa/crypto.h"
#include "sdkconfig.h"
#include "unity.h"

#define BLOCK ((esp_efuse_block_t)(EFUSE_BLK_KEY0 + CONFIG_CERT_MGMT_HMAC_EFUSE_KEY_ID))

static const uint8_t s_salt[32] = "the salt has exactly 32 letters!"; /* no NUL */
static const uint8_t s_hash[CERT_HASH_LEN] = { 1, 2, 3 };

void setUp(void)
{
}

void tearDown(void)
{
}

static void test_the_first_key_burns_the_chips_key(void)
{
    const cert_key_backend_t *backend = keys_backend();
    uint8_t ref[CERT_KEY_MAX];
    size_t len = 0;
    TEST_ASSERT_EQUAL(CERT_OK, backend->generate(backend->ctx, CERT_KEY_EC_P256, ref, &len));
    TEST_ASSERT_EQUAL(ESP_EFUSE_KEY_PURPOSE_HMAC_UP, esp_efuse_get_key_purpose(BLOCK));
    TEST_ASSERT_TRUE(esp_efuse_get_key_dis_read(BLOCK));
    TEST_ASSERT_TRUE(esp_efuse_get_key_dis_write(BLOCK));
}

static void test_the_next_key_burns_nothing(void)
{
    const cert_key_backend_t *backend = keys_backend();
    unsigned free_blocks = esp_efuse_count_unused_key_blocks();
    uint8_t first[CERT_KEY_MAX];
    uint8_t second[CERT_KEY_MAX];
    size_t len = 0;
    TEST_ASSERT_EQUAL(CERT_OK, backend->generate(backend->ctx, CERT_KEY_EC_P256, first, &len));
    TEST_ASSERT_EQUAL(CERT_OK, backend->generate(backend->ctx, CERT_KEY_EC_P256, second, &len));
    TEST_ASSERT_NOT_EQUAL(0, memcmp(first, second, len));
    TEST_ASSERT_EQUAL(free_blocks, esp_efuse_count_unused_key_blocks());
    TEST_ASSERT_EQUAL(1, efuse_keys_count(ESP_EFUSE_KEY_PURPOSE_HMAC_UP));
}

static void test_what_the_key_signs_its_public_key_verifies(void)
{
    const cert_key_backend_t *backend = keys_backend();
    uint8_t spki[CERT_PUBLIC_KEY_MAX];
    uint8_t signature[CERT_SIGNATURE_MAX];
    size_t spki_len;
    size_t signature_len;
    int64_t begun_us = esp_timer_get_time();
    TEST_ASSERT_EQUAL(CERT_OK, backend->public_key(backend->ctx, s_salt, sizeof(s_salt), spki, &spki_len));
    printf("hmac_key: derived_us=%u\n", (unsigned)(esp_timer_get_time() - begun_us));
    TEST_ASSERT_EQUAL(CERT_OK,
                      backend->sign(backend->ctx, s_salt, sizeof(s_salt), s_hash, signature, &signature_len));
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    TEST_ASSERT_EQUAL(0, mbedtls_pk_parse_public_key(&pk, spki, spki_len));
    TEST_ASSERT_EQUAL(0, mbedtls_pk_verify(&pk, MBEDTLS_MD_SHA256, s_hash, sizeof(s_hash), signature, signature_len));
    mbedtls_pk_free(&pk);
}

static void test_an_rsa_key_cannot_be_derived(void)
{
    const cert_key_backend_t *backend = keys_backend();
    uint8_t ref[CERT_KEY_MAX];
    size_t len;
    TEST_ASSERT_EQUAL(CERT_ERR_UNSUPPORTED, backend->generate(backend->ctx, CERT_KEY_RSA_2048, ref, &len));
}

/* The public key of a fixed salt: the same on this chip for ever, another one on another chip. */
static void print_public_key(void)
{
    const cert_key_backend_t *backend = keys_backend();
    uint8_t spki[CERT_PUBLIC_KEY_MAX];
    size_t len = 0;
    if (backend->public_key(backend->ctx, s_salt, sizeof(s_salt), spki, &len) != CERT_OK) {
        len = 0;
    }
    printf("hmac_key: public=");
    for (size_t i = len > 32 ? len - 32 : 0; i < len; i++) {
        printf("%02x", spki[i]);
    }
    printf("\n");
}

void app_main(void)
{
    ESP_ERROR_CHECK(psa_crypto_init() == PSA_SUCCESS ? ESP_OK : ESP_FAIL);
    UNITY_BEGIN();
    RUN_TEST(test_the_first_key_burns_the_chips_key);
    RUN_TEST(test_the_next_key_burns_nothing);
    RUN_TEST(test_what_the_key_signs_its_public_key_verifies);
    RUN_TEST(test_an_rsa_key_cannot_be_derived);
    UNITY_END();
    print_public_key();
}
