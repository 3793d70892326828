/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <psa/crypto.h>
#include <stdlib.h>

#include "csr.h"
#include "key_backend.h"
#include "test_pki.h"
#include "testing.h"

static int start_psa(void **state)
{
    (void)state;
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

/** The request of a fresh key; `csr` holds CERT_CSR_PEM_MAX bytes. */
static cert_status_t make_csr(cert_key_type_t type, const char *device_id, char *csr, size_t cap)
{
    uint8_t ref[CERT_KEY_MAX];
    size_t len = 0;
    assert_int_equal(key_backend_software.generate(NULL, type, ref, &len), CERT_OK);
    return csr_write_pem(&key_backend_software, ref, len, device_id, csr, cap);
}

static void test_openssl_verifies_the_request_of_an_ec_key(void **state)
{
    (void)state;
    char csr[CERT_CSR_PEM_MAX];
    char name[65];
    assert_int_equal(make_csr(CERT_KEY_EC_P256, TEST_DEVICE, csr, sizeof(csr)), CERT_OK);
    EVP_PKEY *key = pki_csr_key(csr, name);
    assert_string_equal(name, TEST_DEVICE);
    assert_int_equal(EVP_PKEY_get_base_id(key), EVP_PKEY_EC);
    assert_int_equal(EVP_PKEY_get_bits(key), 256);
    EVP_PKEY_free(key);
}

static void test_openssl_verifies_the_request_of_an_rsa_key(void **state)
{
    (void)state;
    char csr[CERT_CSR_PEM_MAX];
    char name[65];
    assert_int_equal(make_csr(CERT_KEY_RSA_2048, TEST_DEVICE, csr, sizeof(csr)), CERT_OK);
    EVP_PKEY *key = pki_csr_key(csr, name);
    assert_string_equal(name, TEST_DEVICE);
    assert_int_equal(EVP_PKEY_get_base_id(key), EVP_PKEY_RSA);
    assert_int_equal(EVP_PKEY_get_bits(key), 2048);
    EVP_PKEY_free(key);
}

static void test_the_longest_device_id_fits(void **state)
{
    (void)state;
    char id[CERT_DEVICE_ID_MAX + 1];
    char csr[CERT_CSR_PEM_MAX];
    char name[65];
    memset(id, 'x', CERT_DEVICE_ID_MAX);
    id[CERT_DEVICE_ID_MAX] = '\0';
    assert_int_equal(make_csr(CERT_KEY_EC_P256, id, csr, sizeof(csr)), CERT_OK);
    EVP_PKEY_free(pki_csr_key(csr, name));
    assert_string_equal(name, id);
}

static void test_a_buffer_too_small_is_refused(void **state)
{
    (void)state;
    char csr[100];
    assert_int_equal(make_csr(CERT_KEY_EC_P256, TEST_DEVICE, csr, sizeof(csr)), CERT_ERR_TOO_LARGE);
}

static void test_lines_end_with_a_line_feed_only(void **state)
{
    (void)state;
    char csr[CERT_CSR_PEM_MAX];
    assert_int_equal(make_csr(CERT_KEY_EC_P256, TEST_DEVICE, csr, sizeof(csr)), CERT_OK);
    assert_null(strchr(csr, '\r'));
    assert_int_equal(csr[strlen(csr) - 1], '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openssl_verifies_the_request_of_an_ec_key),
        cmocka_unit_test(test_openssl_verifies_the_request_of_an_rsa_key),
        cmocka_unit_test(test_the_longest_device_id_fits),
        cmocka_unit_test(test_a_buffer_too_small_is_refused),
        cmocka_unit_test(test_lines_end_with_a_line_feed_only),
    };
    return cmocka_run_group_tests(tests, start_psa, NULL);
}
