/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* An RSA key sealed for the real Digital Signature peripheral, see README.md. */
#include <stdio.h>
#include <string.h>

#include "cert_mgmt/cert_key_ds.h"
#include "efuse_keys.h"
#include "esp_timer.h"
#include "keys.h"
#include "mbedtls/pk.h"
#include "nvs_store.h"
#include "psa/crypto.h"
#include "unity.h"

#define PURPOSE ESP_EFUSE_KEY_PURPOSE_HMAC_DOWN_DIGITAL_SIGNATURE

static const uint8_t s_hash[CERT_HASH_LEN] = { 1, 2, 3 };
static uint8_t s_ref[CERT_KEY_MAX];
static size_t s_ref_len;

void setUp(void)
{
}

void tearDown(void)
{
}

static void test_a_key_is_made_once_and_recalled_ever_after(void)
{
    const cert_key_backend_t *backend = keys_backend();
    cert_status_t status = backend->recall(backend->ctx, s_ref, &s_ref_len);
    if (status == CERT_ERR_NOT_FOUND) {
        TEST_ASSERT_EQUAL(0, efuse_keys_count(PURPOSE));
        int64_t begun_us = esp_timer_get_time();
        TEST_ASSERT_EQUAL(CERT_OK, backend->generate(backend->ctx, CERT_KEY_RSA_2048, s_ref, &s_ref_len));
        printf("ds_key: made_ms=%u\n", (unsigned)((esp_timer_get_time() - begun_us) / 1000));
        status = backend->recall(backend->ctx, s_ref, &s_ref_len);
    }
    TEST_ASSERT_EQUAL(CERT_OK, status);
    TEST_ASSERT_EQUAL(1, efuse_keys_count(PURPOSE));
    TEST_ASSERT_TRUE(esp_efuse_get_key_dis_read(EFUSE_BLK_KEY0));
}

static void test_what_the_chip_signs_the_public_key_verifies(void)
{
    const cert_key_backend_t *backend = keys_backend();
    uint8_t spki[CERT_PUBLIC_KEY_MAX];
    uint8_t signature[CERT_SIGNATURE_MAX];
    size_t spki_len;
    size_t signature_len;
    TEST_ASSERT_EQUAL(CERT_OK, backend->public_key(backend->ctx, s_ref, s_ref_len, spki, &spki_len));
    int64_t begun_us = esp_timer_get_time();
    TEST_ASSERT_EQUAL(CERT_OK, backend->sign(backend->ctx, s_ref, s_ref_len, s_hash, signature, &signature_len));
    printf("ds_key: signed_us=%u\n", (unsigned)(esp_timer_get_time() - begun_us));
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    TEST_ASSERT_EQUAL(0, mbedtls_pk_parse_public_key(&pk, spki, spki_len));
    TEST_ASSERT_EQUAL(0, mbedtls_pk_verify(&pk, MBEDTLS_MD_SHA256, s_hash, sizeof(s_hash), signature, signature_len));
    mbedtls_pk_free(&pk);
}

static void test_a_tampered_key_is_refused(void)
{
    const cert_key_backend_t *backend = keys_backend();
    uint8_t signature[CERT_SIGNATURE_MAX];
    size_t len;
    s_ref[s_ref_len - 100] ^= 1;
    TEST_ASSERT_EQUAL(CERT_ERR_CORRUPT, backend->sign(backend->ctx, s_ref, s_ref_len, s_hash, signature, &len));
    s_ref[s_ref_len - 100] ^= 1;
}

static void test_another_key_is_refused_when_as_many_as_allowed_are_there(void)
{
    const cert_key_backend_t *backend = keys_backend();
    static uint8_t ref[CERT_KEY_MAX];
    size_t len;
    TEST_ASSERT_EQUAL(CERT_ERR_UNSUPPORTED, backend->generate(backend->ctx, CERT_KEY_RSA_2048, ref, &len));
    TEST_ASSERT_EQUAL(1, efuse_keys_count(PURPOSE));
}

static void test_a_key_of_another_type_cannot_be_made(void)
{
    const cert_key_backend_t *backend = keys_backend();
    static uint8_t ref[CERT_KEY_MAX];
    size_t len;
    TEST_ASSERT_EQUAL(CERT_ERR_UNSUPPORTED, backend->generate(backend->ctx, CERT_KEY_EC_P256, ref, &len));
}

/* As a loss of power leaves it between the two steps: stored, but not burned. */
static void test_a_key_that_was_stored_but_not_burned_is_not_found(void)
{
    const cert_key_backend_t *backend = keys_backend();
    static uint8_t ref[CERT_KEY_MAX];
    size_t len;
    cert_key_ds_ref_t parts;
    memcpy(ref, s_ref, s_ref_len);
    TEST_ASSERT_EQUAL(CERT_OK, cert_key_ds_parse(ref, s_ref_len, &parts));
    ref[parts.sealed - ref] = 1; /* KEY1, which is free */
    TEST_ASSERT_EQUAL(CERT_OK, nvs_store_write("ds_key", ref, s_ref_len));
    TEST_ASSERT_EQUAL(CERT_ERR_NOT_FOUND, backend->recall(backend->ctx, ref, &len));
    TEST_ASSERT_EQUAL(CERT_OK, nvs_store_write("ds_key", s_ref, s_ref_len));
}

void app_main(void)
{
    ESP_ERROR_CHECK(psa_crypto_init() == PSA_SUCCESS ? ESP_OK : ESP_FAIL);
    ESP_ERROR_CHECK(nvs_store_open());
    UNITY_BEGIN();
    RUN_TEST(test_a_key_is_made_once_and_recalled_ever_after);
    RUN_TEST(test_what_the_chip_signs_the_public_key_verifies);
    RUN_TEST(test_a_tampered_key_is_refused);
    RUN_TEST(test_another_key_is_refused_when_as_many_as_allowed_are_there);
    RUN_TEST(test_a_key_of_another_type_cannot_be_made);
    RUN_TEST(test_a_key_that_was_stored_but_not_burned_is_not_found);
    UNITY_END();
}
