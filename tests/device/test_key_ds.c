/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* RSA keys sealed for the chip: the arithmetic, and a device that lives on such keys. The chip is played by OpenSSL. */
#include <openssl/bn.h>
#include <psa/crypto.h>
#include <stdlib.h>

#include "backends/rsa_operands.h"
#include "cert_mgmt/cert_key_ds.h"
#include "key_backend.h"
#include "test_device.h"
#include "testing.h"

#define CHIP_KEYS_MAX 3

/** A chip with room for some keys; what is "sealed" is the number of one. */
typedef struct {
    cert_rsa_operands_t keys[CHIP_KEYS_MAX];
    unsigned sealed;
    unsigned burned;
    unsigned keys_max;
    uint8_t last[CERT_KEY_MAX];
    size_t last_len;
    cert_key_ds_chip_t chip;
    cert_key_backend_t backend;
} fake_chip_t;

static fake_chip_t s_fake;

static cert_status_t may_seal(void *ctx)
{
    const fake_chip_t *fake = ctx;
    return fake->burned < fake->keys_max ? CERT_OK : CERT_ERR_UNSUPPORTED;
}

static cert_status_t seal(void *ctx, const cert_rsa_operands_t *key, uint8_t *sealed, size_t *sealed_len)
{
    fake_chip_t *fake = ctx;
    fake->keys[fake->burned] = *key;
    sealed[0] = (uint8_t)fake->burned;
    *sealed_len = 1;
    return CERT_OK;
}

static cert_status_t commit(void *ctx, const uint8_t *ref, size_t ref_len)
{
    fake_chip_t *fake = ctx;
    memcpy(fake->last, ref, ref_len);
    fake->last_len = ref_len;
    fake->burned++;
    return CERT_OK;
}

static cert_status_t recall(void *ctx, uint8_t *ref, size_t *ref_len)
{
    const fake_chip_t *fake = ctx;
    memcpy(ref, fake->last, fake->last_len);
    *ref_len = fake->last_len;
    return fake->burned > 0 ? CERT_OK : CERT_ERR_NOT_FOUND;
}

static BIGNUM *number_of(const uint32_t *words, size_t count)
{
    /* The tests run on little-endian machines. */
    return BN_lebin2bn((const unsigned char *)words, (int)(4 * count), NULL);
}

static cert_status_t sign_in_chip(void *ctx, const uint8_t *sealed, size_t sealed_len, const uint32_t *message,
                                  size_t words, uint32_t *signature)
{
    const fake_chip_t *fake = ctx;
    if (sealed_len != 1 || sealed[0] >= fake->burned) {
        return CERT_ERR_CORRUPT;
    }
    const cert_rsa_operands_t *key = &fake->keys[sealed[0]];
    BN_CTX *context = BN_CTX_new();
    BIGNUM *m = number_of(message, words);
    BIGNUM *d = number_of(key->exponent, words);
    BIGNUM *n = number_of(key->modulus, words);
    BIGNUM *result = BN_new();
    assert_int_equal(BN_mod_exp(result, m, d, n, context), 1);
    assert_true(BN_bn2lebinpad(result, (unsigned char *)signature, (int)(4 * words)) > 0);
    BN_free(result);
    BN_free(n);
    BN_free(d);
    BN_free(m);
    BN_CTX_free(context);
    return CERT_OK;
}

static int make_chip(void **state)
{
    s_fake = (fake_chip_t) { .keys_max = 1 };
    s_fake.chip = (cert_key_ds_chip_t) {
        .ctx = &s_fake,
        .max_bits = 3072,
        .may_seal = may_seal,
        .seal = seal,
        .commit = commit,
        .recall = recall,
        .sign = sign_in_chip,
    };
    s_fake.backend = cert_key_ds_backend(&s_fake.chip);
    *state = &s_fake;
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

/* ---------------------------------------------------------------- the arithmetic */

static void test_the_operands_are_those_openssl_works_out(void **state)
{
    (void)state;
    static cert_rsa_operands_t operands;
    uint8_t der[CERT_KEY_MAX];
    EVP_PKEY *key = pki_rsa_key(2048);
    size_t len = pki_key_der(key, der, sizeof(der));
    assert_int_equal(rsa_operands_read(der, len, &operands), CERT_OK);
    assert_int_equal(operands.words, 64);

    BN_CTX *context = BN_CTX_new();
    BIGNUM *n = NULL;
    BIGNUM *d = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &n), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(key, "d", &d), 1);
    BIGNUM *modulus = number_of(operands.modulus, 64);
    BIGNUM *exponent = number_of(operands.exponent, 64);
    BIGNUM *r_squared = number_of(operands.r_squared, 64);
    assert_int_equal(BN_cmp(modulus, n), 0);
    assert_int_equal(BN_cmp(exponent, d), 0);
    BIGNUM *power = BN_new();
    assert_int_equal(BN_lshift(power, BN_value_one(), 2 * 2048), 1);
    assert_int_equal(BN_mod(power, power, n, context), 1);
    assert_int_equal(BN_cmp(r_squared, power), 0);
    assert_int_equal((uint32_t)(operands.m_prime * operands.modulus[0]), UINT32_MAX); /* -1 mod 2^32 */
    BN_free(power);
    BN_free(r_squared);
    BN_free(exponent);
    BN_free(modulus);
    BN_free(d);
    BN_free(n);
    BN_CTX_free(context);
    EVP_PKEY_free(key);
}

static void test_what_is_no_rsa_key_has_no_operands(void **state)
{
    (void)state;
    static cert_rsa_operands_t operands;
    uint8_t der[CERT_KEY_MAX];
    EVP_PKEY *ec = pki_ec_key("P-256");
    size_t len = pki_key_der(ec, der, sizeof(der));
    assert_int_equal(rsa_operands_read(der, len, &operands), CERT_ERR_CORRUPT);
    assert_int_equal(rsa_operands_read(der, 0, &operands), CERT_ERR_CORRUPT);
    EVP_PKEY_free(ec);
}

static void test_a_damaged_reference_is_refused(void **state)
{
    fake_chip_t *fake = *state;
    uint8_t ref[CERT_KEY_MAX];
    size_t len = 0;
    cert_key_ds_ref_t parts;
    assert_int_equal(fake->backend.generate(fake->backend.ctx, CERT_KEY_RSA_2048, ref, &len), CERT_OK);
    assert_int_equal(cert_key_ds_parse(ref, len, &parts), CERT_OK);
    assert_int_equal(parts.bits, 2048);
    assert_int_equal(parts.sealed_len, 1);
    for (size_t shorter = 0; shorter < len; shorter++) {
        assert_int_equal(cert_key_ds_parse(ref, shorter, &parts), CERT_ERR_CORRUPT);
    }
    ref[0]++;
    assert_int_equal(cert_key_ds_parse(ref, len, &parts), CERT_ERR_CORRUPT);
}

/* ---------------------------------------------------------------- a device with such a chip */

static int setup_device(void **state)
{
    make_chip(state);
    test_device_setup(state);
    test_device_t *device = *state;
    device->config.key_backend = &s_fake.backend;
    device->config.key_type = CERT_KEY_RSA_2048;
    return 0;
}

static int setup_online(void **state)
{
    setup_device(state);
    device_enroll(*state);
    return 0;
}

static void commit_rotation(test_device_t *device, const char *rotation_id)
{
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, rotation_id));
    assert_said(device, TOPIC_STATUS, "state", "committed");
}

static void test_it_enrols_and_connects_with_a_sealed_key(void **state)
{
    test_device_t *device = *state;
    assert_int_equal(device->fake.connect.key_kind, CERT_KEY_KIND_DS);
    assert_int_equal(s_fake.burned, 1);
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
}

static void test_a_rotation_on_the_same_key_takes_nothing_of_the_chip(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "same"));
    commit_rotation(device, "r1");
    assert_int_equal(s_fake.burned, 1);
}

static void test_a_rotation_on_a_new_key_takes_another_if_it_may(void **state)
{
    test_device_t *device = *state;
    s_fake.keys_max = 2;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "rsa-2048"));
    commit_rotation(device, "r1");
    assert_int_equal(s_fake.burned, 2);
}

static void test_a_new_key_is_refused_when_none_is_left(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "rsa-2048"));
    assert_rejected(device, "unsupported");
    assert_int_equal(s_fake.burned, 1);
}

static void test_a_key_type_the_chip_cannot_make_is_refused(void **state)
{
    test_device_t *device = *state;
    s_fake.keys_max = 2;
    s_fake.chip.max_bits = 2048;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "rsa-3072"));
    assert_rejected(device, "unsupported");
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r2", "ec-p256"));
    assert_rejected(device, "unsupported");
}

static void test_a_renewal_by_itself_keeps_the_key(void **state)
{
    test_device_t *device = *state;
    device->fake.clock += 364 * TEST_DAY;
    device_tick(device);
    assert_non_null(fake_port_last_message(&device->fake, TOPIC_CSR));
    assert_int_equal(s_fake.burned, 1);
}

static void test_after_a_factory_reset_it_enrols_with_the_key_it_has(void **state)
{
    test_device_t *device = *state;
    assert_int_equal(cert_agent_factory_reset(&device->agent), CERT_OK);
    device_enroll(device);
    assert_int_equal(device->fake.connect.key_kind, CERT_KEY_KIND_DS);
    assert_int_equal(s_fake.burned, 1);
}

static void test_a_key_of_another_chip_is_no_match(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "same"));
    BN_ULONG scrambled = 3;
    memcpy(s_fake.keys[0].exponent, &scrambled, sizeof(scrambled));
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_rejected(device, "key_mismatch");
}

#define CHIP(test) cmocka_unit_test_setup(test, make_chip)
#define ENROLLED(test) cmocka_unit_test_setup_teardown(test, setup_online, test_device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHIP(test_the_operands_are_those_openssl_works_out),
        CHIP(test_what_is_no_rsa_key_has_no_operands),
        CHIP(test_a_damaged_reference_is_refused),
        ENROLLED(test_it_enrols_and_connects_with_a_sealed_key),
        ENROLLED(test_a_rotation_on_the_same_key_takes_nothing_of_the_chip),
        ENROLLED(test_a_rotation_on_a_new_key_takes_another_if_it_may),
        ENROLLED(test_a_new_key_is_refused_when_none_is_left),
        ENROLLED(test_a_key_type_the_chip_cannot_make_is_refused),
        ENROLLED(test_a_renewal_by_itself_keeps_the_key),
        ENROLLED(test_after_a_factory_reset_it_enrols_with_the_key_it_has),
        ENROLLED(test_a_key_of_another_chip_is_no_match),
    };
    return RUN_TESTS(tests);
}
