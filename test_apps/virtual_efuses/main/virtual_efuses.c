/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* What burning a key would do, see README.md. */
#include <stdio.h>
#include <string.h>

#include "efuse_keys.h"
#include "esp_efuse_table.h"
#include "keys.h"
#include "psa/crypto.h"
#include "sdkconfig.h"
#include "unity.h"

#if CONFIG_CERT_MGMT_KEY_BACKEND_DS
#include "nvs_store.h"

#define KEY_TYPE CERT_KEY_RSA_2048
#define PURPOSE ESP_EFUSE_KEY_PURPOSE_HMAC_DOWN_DIGITAL_SIGNATURE
#define BLOCK EFUSE_BLK_KEY0
#define NEXT_KEY CERT_ERR_UNSUPPORTED /* it takes another block, and CERT_MGMT_DS_MAX_KEYS is 1 */
#else
#define KEY_TYPE CERT_KEY_EC_P256
#define PURPOSE ESP_EFUSE_KEY_PURPOSE_HMAC_UP
#define BLOCK ((esp_efuse_block_t)(EFUSE_BLK_KEY0 + CONFIG_CERT_MGMT_HMAC_EFUSE_KEY_ID))
#define NEXT_KEY CERT_OK /* it takes none */
#endif

static char s_plan[200];

void setUp(void)
{
}

void tearDown(void)
{
}

static void note_plan(const char *line)
{
    strlcpy(s_plan, line, sizeof(s_plan));
}

static cert_status_t make_key(void)
{
    static uint8_t ref[CERT_KEY_MAX];
    size_t len;
    const cert_key_backend_t *backend = keys_backend();
    return backend->generate(backend->ctx, KEY_TYPE, ref, &len);
}

static void test_the_plan_names_the_block_and_burns_nothing(void)
{
    char block[32];
    unsigned unused = esp_efuse_count_unused_key_blocks();
    snprintf(block, sizeof(block), "a random key into %s", efuse_keys_name(BLOCK));
    keys_print_plan(note_plan);
    TEST_ASSERT_NOT_NULL_MESSAGE(strstr(s_plan, block), s_plan);
    TEST_ASSERT_NOT_NULL_MESSAGE(strstr(s_plan, "PERMANENT"), s_plan);
    TEST_ASSERT_EQUAL(unused, esp_efuse_count_unused_key_blocks());
}

static void test_the_first_key_burns_that_block(void)
{
    unsigned unused = esp_efuse_count_unused_key_blocks();
    TEST_ASSERT_EQUAL(CERT_OK, make_key());
    TEST_ASSERT_EQUAL(unused - 1, esp_efuse_count_unused_key_blocks());
    TEST_ASSERT_EQUAL(PURPOSE, esp_efuse_get_key_purpose(BLOCK));
    TEST_ASSERT_TRUE(esp_efuse_get_key_dis_read(BLOCK));
    TEST_ASSERT_TRUE(esp_efuse_get_key_dis_write(BLOCK));
}

static void test_what_was_burned_is_there_and_is_enough(void)
{
    TEST_ASSERT_EQUAL(1, efuse_keys_count(PURPOSE));
    keys_print_plan(note_plan);
    TEST_ASSERT_NOT_NULL_MESSAGE(strstr(s_plan, "efuse-plan: nothing"), s_plan);
    TEST_ASSERT_EQUAL(NEXT_KEY, make_key());
    TEST_ASSERT_EQUAL(1, efuse_keys_count(PURPOSE));
}

static void test_nothing_is_burned_when_the_read_protection_is_locked(void)
{
    unsigned unused = esp_efuse_count_unused_key_blocks();
    keys_print_plan(note_plan);
    TEST_ASSERT_NOT_NULL_MESSAGE(strstr(s_plan, "no key can be burned: the read protection"), s_plan);
    TEST_ASSERT_EQUAL(CERT_ERR_UNSUPPORTED, make_key());
    TEST_ASSERT_EQUAL(unused, esp_efuse_count_unused_key_blocks());
}

void app_main(void)
{
    ESP_ERROR_CHECK(psa_crypto_init() == PSA_SUCCESS ? ESP_OK : ESP_FAIL);
#if CONFIG_CERT_MGMT_KEY_BACKEND_DS
    ESP_ERROR_CHECK(nvs_store_open());
#endif
    UNITY_BEGIN();
    if (esp_efuse_read_field_bit(ESP_EFUSE_WR_DIS_RD_DIS)) {
        RUN_TEST(test_nothing_is_burned_when_the_read_protection_is_locked);
    } else {
        if (efuse_keys_count(PURPOSE) == 0) {
            RUN_TEST(test_the_plan_names_the_block_and_burns_nothing);
            RUN_TEST(test_the_first_key_burns_that_block);
        }
        RUN_TEST(test_what_was_burned_is_there_and_is_enough);
    }
    UNITY_END();
}
