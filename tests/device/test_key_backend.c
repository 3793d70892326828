/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/pem.h>
#include <psa/crypto.h>
#include <stdlib.h>

#include "key_backend.h"
#include "test_pki.h"
#include "testing.h"

static int start_psa(void **state)
{
    (void)state;
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

static EVP_PKEY *read_with_openssl(const uint8_t *ref, size_t len)
{
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &ref, (long)len);
    assert_non_null(key);
    return key;
}

static void test_a_made_key_is_one_that_openssl_reads(void **state)
{
    (void)state;
    static const struct {
        cert_key_type_t type;
        int id;
        int bits;
    } rows[] = {
        {CERT_KEY_EC_P256, EVP_PKEY_EC, 256},
        {CERT_KEY_RSA_2048, EVP_PKEY_RSA, 2048},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t ref[CERT_KEY_MAX];
        size_t len = 0;
        assert_int_equal(key_backend_software.generate(NULL, rows[i].type, ref, &len), CERT_OK);
        EVP_PKEY *key = read_with_openssl(ref, len);
        assert_int_equal(EVP_PKEY_get_base_id(key), rows[i].id);
        assert_int_equal(EVP_PKEY_get_bits(key), rows[i].bits);
        EVP_PKEY_free(key);
    }
}

static void test_two_keys_differ(void **state)
{
    (void)state;
    uint8_t first[CERT_KEY_MAX];
    uint8_t second[CERT_KEY_MAX];
    size_t len;
    assert_int_equal(key_backend_software.generate(NULL, CERT_KEY_EC_P256, first, &len), CERT_OK);
    assert_int_equal(key_backend_software.generate(NULL, CERT_KEY_EC_P256, second, &len), CERT_OK);
    assert_memory_not_equal(first, second, len);
}

static void test_garbage_is_no_key(void **state)
{
    (void)state;
    uint8_t garbage[121];
    memset(garbage, 0x30, sizeof(garbage));
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    assert_int_equal(key_software_load(garbage, sizeof(garbage), &key), CERT_ERR_CORRUPT);
    assert_int_equal(key_software_load(garbage, 0, &key), CERT_ERR_CORRUPT);
    mbedtls_pk_free(&key);
}

static void test_a_key_kind_of_a_later_version_is_not_found(void **state)
{
    (void)state;
    assert_null(key_backend_find(NULL, (cert_key_kind_t)7));
    assert_string_equal(key_kind_name((cert_key_kind_t)7), "unknown");
    assert_string_equal(key_kind_name((cert_key_kind_t)255), "unknown");
    assert_string_equal(key_kind_name(CERT_KEY_KIND_DS), "ds");
}

static void test_a_pushed_key_is_always_the_software_backends(void **state)
{
    (void)state;
    const cert_key_backend_t own = { .kind = CERT_KEY_KIND_HMAC };
    assert_ptr_equal(key_backend_find(NULL, CERT_KEY_KIND_SOFTWARE), &key_backend_software);
    assert_ptr_equal(key_backend_find(&own, CERT_KEY_KIND_SOFTWARE), &key_backend_software);
    assert_ptr_equal(key_backend_find(&own, CERT_KEY_KIND_HMAC), &own);
    assert_null(key_backend_find(&own, CERT_KEY_KIND_DS));
}

/** Import `pem` and see that it is still the key it was. */
static void assert_imported(const char *pem, EVP_PKEY *original)
{
    uint8_t ref[CERT_KEY_MAX];
    size_t len = 0;
    assert_int_equal(key_backend_import(pem, ref, &len), CERT_OK);
    EVP_PKEY *key = read_with_openssl(ref, len);
    assert_int_equal(EVP_PKEY_eq(key, original), 1);
    EVP_PKEY_free(key);
}

static char *traditional_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *pem = strndup(data, (size_t)len);
    BIO_free(bio);
    return pem;
}

static void test_a_pushed_key_is_taken_in_every_usual_form(void **state)
{
    (void)state;
    EVP_PKEY *const keys[] = {pki_ec_key("P-256"), pki_ec_key("P-384"), pki_rsa_key(2048), pki_rsa_key(3072)};
    for (size_t i = 0; i < COUNT(keys); i++) {
        char *pkcs8 = pki_key_pem(keys[i]);
        char *traditional = traditional_pem(keys[i]);
        assert_imported(pkcs8, keys[i]);
        assert_imported(traditional, keys[i]);
        free(pkcs8);
        free(traditional);
        EVP_PKEY_free(keys[i]);
    }
}

static void test_what_is_not_a_pem_key_is_not_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "hello",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        uint8_t ref[CERT_KEY_MAX];
        size_t len = 0;
        assert_int_equal(key_backend_import(texts[i], ref, &len), CERT_ERR_BAD_MESSAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_made_key_is_one_that_openssl_reads),
        cmocka_unit_test(test_two_keys_differ),
        cmocka_unit_test(test_garbage_is_no_key),
        cmocka_unit_test(test_a_key_kind_of_a_later_version_is_not_found),
        cmocka_unit_test(test_a_pushed_key_is_always_the_software_backends),
        cmocka_unit_test(test_a_pushed_key_is_taken_in_every_usual_form),
        cmocka_unit_test(test_what_is_not_a_pem_key_is_not_taken),
    };
    return cmocka_run_group_tests(tests, start_psa, NULL);
}
