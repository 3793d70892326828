/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* Keys derived from the chip's: the derivation by itself, and a device that lives on such keys. */
#include <openssl/hmac.h>
#include <psa/crypto.h>
#include <stdlib.h>

#include "cert_mgmt/cert_key_hmac.h"
#include "test_device.h"
#include "testing.h"

/** A chip whose key is 00 01 02 … 1f. */
typedef struct {
    bool has_key;
    unsigned misses; /* so many HMACs come out as no private key, all bits set */
    cert_key_hmac_chip_t chip;
    cert_key_backend_t backend;
} fake_chip_t;

static cert_status_t provide(void *ctx)
{
    return ((fake_chip_t *)ctx)->has_key ? CERT_OK : CERT_ERR_UNSUPPORTED;
}

static cert_status_t compute_hmac(void *ctx, const uint8_t *message, size_t len, uint8_t *mac)
{
    fake_chip_t *fake = ctx;
    uint8_t key[32];
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)i;
    }
    assert_non_null(HMAC(EVP_sha256(), key, sizeof(key), message, len, mac, NULL));
    if (fake->misses > 0) {
        fake->misses--;
        memset(mac, 0xFF, CERT_HASH_LEN);
    }
    return CERT_OK;
}

static fake_chip_t s_fake;

static int make_chip(void **state)
{
    s_fake = (fake_chip_t) { .has_key = true };
    s_fake.chip = (cert_key_hmac_chip_t) { .ctx = &s_fake, .provide = provide, .hmac = compute_hmac };
    s_fake.backend = cert_key_hmac_backend(&s_fake.chip);
    *state = &s_fake;
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

/* ---------------------------------------------------------------- the derivation */

static const uint8_t s_salt[CERT_KEY_HMAC_SALT_LEN] = "the salt has exactly 32 letters!"; /* no NUL */

static void assert_derived(const uint8_t *scalar, const uint8_t *point)
{
    uint8_t der[CERT_KEY_HMAC_DER_LEN];
    assert_int_equal(cert_key_hmac_derive(&s_fake.chip, s_salt, sizeof(s_salt), der), CERT_OK);
    assert_memory_equal(der + 7, scalar, 32);
    assert_memory_equal(der + sizeof(der) - 65, point, 65);
}

/*
 * import hmac
 * from cryptography.hazmat.primitives.asymmetric import ec
 * from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
 * message = b"cert_mgmt:ec-p256" + b"the salt has exactly 32 letters!" + bytes([COUNTER])
 * d = hmac.digest(bytes(range(32)), message, "sha256")
 * key = ec.derive_private_key(int.from_bytes(d, "big"), ec.SECP256R1())
 * print(d.hex(), key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex())
 */
static const uint8_t s_scalar_0[] = {
    0x88, 0x0A, 0xA1, 0x74, 0x42, 0x09, 0xED, 0xF0, 0xE1, 0x42, 0xD8, 0x34, 0x9D, 0x9F, 0x66, 0xC5,
    0x18, 0x8C, 0x85, 0xF8, 0x3B, 0x75, 0x2F, 0x7D, 0x40, 0x38, 0x4E, 0x42, 0x74, 0xD4, 0xEF, 0x8C,
};
static const uint8_t s_point_0[] = {
    0x04, 0x1D, 0xF1, 0x3A, 0x68, 0x5B, 0x5D, 0xC3, 0xB1, 0x4A, 0x3D, 0x27, 0x2C, 0x65, 0x80, 0x01,
    0x7E, 0xF5, 0x42, 0x74, 0x10, 0x9A, 0x9A, 0xEB, 0x22, 0x6B, 0x68, 0x09, 0xEB, 0x1D, 0x9A, 0x70,
    0x68, 0xA2, 0xCD, 0x53, 0x0D, 0xEC, 0x3C, 0x24, 0x12, 0x74, 0x9B, 0xEB, 0xE0, 0x57, 0x5B, 0xF7,
    0x34, 0x9B, 0x29, 0x08, 0x6F, 0x3C, 0xD5, 0xA4, 0xC7, 0x31, 0x16, 0x52, 0x0E, 0xA4, 0xCC, 0x96,
    0xB4,
};
static const uint8_t s_scalar_2[] = {
    0x8E, 0x7D, 0x0B, 0x58, 0xB1, 0x08, 0x4C, 0xB9, 0xEB, 0x2D, 0x26, 0x34, 0x0F, 0x44, 0x03, 0x3D,
    0x90, 0x5E, 0x37, 0x06, 0xA2, 0x48, 0x8A, 0xAD, 0x0D, 0x9E, 0xF8, 0xBC, 0x5C, 0x03, 0xC4, 0xBD,
};
static const uint8_t s_point_2[] = {
    0x04, 0xC1, 0xBF, 0x9F, 0x3B, 0x31, 0x2C, 0xA4, 0x45, 0x59, 0xA0, 0xC1, 0xB4, 0x21, 0xCF, 0x20,
    0x56, 0x81, 0xF3, 0xC0, 0x8A, 0x51, 0x97, 0xB7, 0x95, 0x30, 0xE0, 0xEF, 0xF3, 0x86, 0x1E, 0x34,
    0x3E, 0x58, 0x61, 0x92, 0xB4, 0x72, 0x16, 0x8A, 0x64, 0x9B, 0xEB, 0x30, 0x04, 0x29, 0xAE, 0x5C,
    0x2A, 0x41, 0x3F, 0xC4, 0xFC, 0xAB, 0xB1, 0x25, 0x97, 0xFE, 0xF8, 0xB8, 0xD6, 0x06, 0x3C, 0x2F,
    0x08,
};

static void test_the_derivation_is_the_documented_one(void **state)
{
    (void)state;
    assert_derived(s_scalar_0, s_point_0);
}

static void test_what_is_no_private_key_is_skipped(void **state)
{
    fake_chip_t *fake = *state;
    fake->misses = 2;
    assert_derived(s_scalar_2, s_point_2);
}

static void test_a_chip_that_never_gives_a_key_is_given_up(void **state)
{
    fake_chip_t *fake = *state;
    uint8_t der[CERT_KEY_HMAC_DER_LEN];
    fake->misses = 1000;
    assert_int_equal(cert_key_hmac_derive(&fake->chip, s_salt, sizeof(s_salt), der), CERT_ERR_INTERNAL);
}

static void test_a_reference_of_another_length_is_none(void **state)
{
    fake_chip_t *fake = *state;
    uint8_t der[CERT_KEY_HMAC_DER_LEN];
    assert_int_equal(cert_key_hmac_derive(&fake->chip, s_salt, sizeof(s_salt) - 1, der), CERT_ERR_CORRUPT);
}

static void test_two_salts_are_two_keys(void **state)
{
    fake_chip_t *fake = *state;
    uint8_t first[CERT_KEY_MAX];
    uint8_t second[CERT_KEY_MAX];
    size_t len;
    assert_int_equal(fake->backend.generate(fake->backend.ctx, CERT_KEY_EC_P256, first, &len), CERT_OK);
    assert_int_equal(fake->backend.generate(fake->backend.ctx, CERT_KEY_EC_P256, second, &len), CERT_OK);
    assert_int_equal(len, CERT_KEY_HMAC_SALT_LEN);
    assert_memory_not_equal(first, second, len);
}

/* ---------------------------------------------------------------- a device with such a chip */

static int setup_device(void **state)
{
    make_chip(state);
    test_device_setup(state);
    test_device_t *device = *state;
    device->config.key_backend = &s_fake.backend;
    return 0;
}

static int setup_online(void **state)
{
    setup_device(state);
    device_enroll(*state);
    fake_port_forget(&((test_device_t *)*state)->fake);
    return 0;
}

/** The device connects with a salt as the key, and the key derived from it is that of the certificate. */
static void assert_uses_chip_key(const test_device_t *device)
{
    uint8_t der[CERT_KEY_HMAC_DER_LEN];
    assert_int_equal(device->fake.connect.key_kind, CERT_KEY_KIND_HMAC);
    assert_int_equal(device->fake.connect.key_len, CERT_KEY_HMAC_SALT_LEN);
    assert_int_equal(
        cert_key_hmac_derive(&s_fake.chip, device->fake.connect.key, device->fake.connect.key_len, der), CERT_OK);
    assert_true(pki_key_belongs(der, sizeof(der), device->fake.connect.chain_pem));
}

static void commit_rotation(test_device_t *device, const char *rotation_id)
{
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, rotation_id));
    assert_said(device, TOPIC_STATUS, "state", "committed");
}

static void test_it_enrols_with_a_derived_key(void **state)
{
    test_device_t *device = *state;
    device_enroll(device);
    assert_uses_chip_key(device);
    device_power_cycle(device);
    assert_uses_chip_key(device);
}

static void test_a_rotation_takes_a_new_salt(void **state)
{
    test_device_t *device = *state;
    uint8_t salt[CERT_KEY_HMAC_SALT_LEN];
    memcpy(salt, device->agent.identity.key, sizeof(salt));
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    commit_rotation(device, "r1");
    assert_uses_chip_key(device);
    assert_memory_not_equal(device->agent.identity.key, salt, sizeof(salt));
}

static void test_a_rotation_on_the_same_key_keeps_the_salt(void **state)
{
    test_device_t *device = *state;
    uint8_t salt[CERT_KEY_HMAC_SALT_LEN];
    memcpy(salt, device->agent.identity.key, sizeof(salt));
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "same"));
    commit_rotation(device, "r1");
    assert_uses_chip_key(device);
    assert_memory_equal(device->agent.identity.key, salt, sizeof(salt));
}

static void test_an_rsa_key_cannot_be_derived(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "rsa-2048"));
    assert_rejected(device, "unsupported");
}

static void test_a_pushed_key_is_a_software_key_and_can_be_rotated_away(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    assert_int_equal(device->fake.connect.key_kind, CERT_KEY_KIND_SOFTWARE);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r2", "ec-p256"));
    commit_rotation(device, "r2");
    assert_uses_chip_key(device);
}

static void test_a_chip_without_a_key_cannot_enrol(void **state)
{
    test_device_t *device = *state;
    s_fake.has_key = false;
    device_boot(device);
    device_connected(device);
    assert_null(fake_port_last_message(&device->fake, TOPIC_ENROLL));
    assert_true(fake_port_has_logged(&device->fake, "enroll: rejected code=unsupported"));
}

static void test_no_private_key_is_in_the_store(void **state)
{
    test_device_t *device = *state;
    uint8_t der[CERT_KEY_HMAC_DER_LEN];
    const cert_identity_t *identity = &device->agent.identity;
    assert_int_equal(cert_key_hmac_derive(&s_fake.chip, identity->key, identity->key_len, der), CERT_OK);
    for (size_t i = 0; i < FAKE_VALUES_MAX; i++) {
        const fake_value_t *value = &device->fake.values[i];
        assert_null(memmem(value->data, value->len, der + 7, 32));
    }
}

static void test_firmware_without_the_backend_enrols_anew_and_loses_nothing(void **state)
{
    test_device_t *device = *state;
    device->config.key_backend = NULL;
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_BOOTSTRAP);
    device->config.key_backend = &s_fake.backend;
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    assert_uses_chip_key(device);
}

static void test_a_factory_reset_forgets_the_salt(void **state)
{
    test_device_t *device = *state;
    assert_int_equal(cert_agent_factory_reset(&device->agent), CERT_OK);
    assert_null(fake_port_value(&device->fake, "slot_a"));
    device_boot(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_BOOTSTRAP);
}

#define DERIVATION(test) cmocka_unit_test_setup(test, make_chip)
#define DEVICE(test) cmocka_unit_test_setup_teardown(test, setup_device, test_device_teardown)
#define ENROLLED(test) cmocka_unit_test_setup_teardown(test, setup_online, test_device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DERIVATION(test_the_derivation_is_the_documented_one),
        DERIVATION(test_what_is_no_private_key_is_skipped),
        DERIVATION(test_a_chip_that_never_gives_a_key_is_given_up),
        DERIVATION(test_a_reference_of_another_length_is_none),
        DERIVATION(test_two_salts_are_two_keys),
        DEVICE(test_it_enrols_with_a_derived_key),
        ENROLLED(test_a_rotation_takes_a_new_salt),
        ENROLLED(test_a_rotation_on_the_same_key_keeps_the_salt),
        ENROLLED(test_an_rsa_key_cannot_be_derived),
        ENROLLED(test_a_pushed_key_is_a_software_key_and_can_be_rotated_away),
        DEVICE(test_a_chip_without_a_key_cannot_enrol),
        ENROLLED(test_no_private_key_is_in_the_store),
        ENROLLED(test_firmware_without_the_backend_enrols_anew_and_loses_nothing),
        ENROLLED(test_a_factory_reset_forgets_the_salt),
    };
    return RUN_TESTS(tests);
}
