/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * A random generator of one's own is deprecated in OpenSSL 3, and the only thing that makes its signatures repeatable
 * there.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "pool.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <string.h>

#include "require.h"

#define EC_DER_LEN 121
#define EC_PRIVATE_AT 7
#define EC_PUBLIC_AT 56
#define RSA_PUBLIC_AT 40
#define RSA_PRIVATE_BEFORE_END 64
#define PEM_PRIVATE_AT 80

unsigned pool_next_key;

static int repeatable_bytes(unsigned char *out, int len)
{
    static uint64_t state = 1;
    for (int i = 0; i < len; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (unsigned char)(state >> 56);
    }
    return 1;
}

static int repeatable_status(void)
{
    return 1;
}

void pool_make_random_repeatable(void)
{
    static const RAND_METHOD method = {
        .bytes = repeatable_bytes,
        .pseudorand = repeatable_bytes,
        .status = repeatable_status,
    };
    REQUIRE(RAND_set_rand_method(&method) == 1, "OpenSSL takes no random generator");
}

static void take_needles(pool_key_t *key)
{
    bool is_ec = key->der_len == EC_DER_LEN;
    memcpy(key->in_private, key->der + (is_ec ? EC_PRIVATE_AT : key->der_len - RSA_PRIVATE_BEFORE_END),
           POOL_NEEDLE_PRIVATE);
    memcpy(key->in_public, key->der + (is_ec ? EC_PUBLIC_AT : RSA_PUBLIC_AT), POOL_NEEDLE_PUBLIC);
    const char *text = key->pem + (is_ec ? PEM_PRIVATE_AT : strlen(key->pem) / 2);
    memcpy(key->in_pem, text, POOL_NEEDLE_PRIVATE);
}

static test_leaf_t leaf_of(pool_variant_t variant)
{
    test_leaf_t leaf = pki_good_leaf();
    leaf.not_before += 600 * (int64_t)variant;
    switch (variant) {
    case POOL_GOOD_LONG:
        leaf.not_after = TEST_NOW + 3650 * TEST_DAY;
        break;
    case POOL_WRONG_SUBJECT:
        leaf.common_name = TEST_DEVICE "0";
        break;
    case POOL_TWO_SUBJECTS:
        leaf.second_common_name = "pump-0043";
        break;
    case POOL_SERVER_AUTH:
        leaf.client_auth = false;
        break;
    case POOL_NO_USAGE:
        leaf.no_extended_key_usage = true;
        break;
    case POOL_EXPIRED:
        leaf.not_before = TEST_NOW - 300 * TEST_DAY;
        leaf.not_after = TEST_NOW - 299 * TEST_DAY;
        break;
    case POOL_NOT_YET_VALID:
        leaf.not_before = TEST_NOW + 100 * TEST_DAY;
        break;
    default:
        break;
    }
    return leaf;
}

static const test_authority_t *issuer_of(const test_pki_t *pki, pool_variant_t variant)
{
    if (variant == POOL_FOREIGN) {
        return &pki->foreign_root;
    }
    return variant == POOL_BY_BOOTSTRAP ? &pki->bootstrap : &pki->issuing;
}

static void read_signed_part(pool_certificate_t *certificate)
{
    BIO *bio = BIO_new_mem_buf(certificate->pem, -1);
    X509 *parsed = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned char *signed_part = NULL;
    int len = i2d_re_X509_tbs(parsed, &signed_part);
    REQUIRE(len > 0, "a certificate of the pool cannot be read");
    certificate->signed_part = signed_part;
    certificate->signed_len = (size_t)len;
    X509_free(parsed);
    BIO_free(bio);
}

static void make_key(pool_t *made, unsigned number)
{
    pool_key_t *key = &made->keys[number];
    key->key = number == POOL_RSA_KEY ? pki_rsa_key(2048) : pki_ec_key("P-256");
    key->pem = pki_key_pem(key->key);
    key->der_len = pki_key_der(key->key, key->der, sizeof(key->der));
    take_needles(key);
    for (unsigned variant = 0; variant < POOL_VARIANTS; variant++) {
        const test_leaf_t leaf = leaf_of((pool_variant_t)variant);
        pool_certificate_t *certificate = &key->certificates[variant];
        certificate->pem = pki_issue(issuer_of(&made->pki, (pool_variant_t)variant), key->key, &leaf);
        pki_certificate_id(certificate->pem, certificate->id);
        read_signed_part(certificate);
    }
}

const pool_t *pool(void)
{
    static pool_t *made = NULL;
    if (made == NULL) {
        made = calloc(1, sizeof(*made));
        REQUIRE(made != NULL, "out of memory");
        pool_make_random_repeatable();
        pki_make(&made->pki);
        for (unsigned number = 0; number < POOL_KEYS; number++) {
            make_key(made, number);
        }
    }
    return made;
}

const pool_key_t *pool_key_in(const uint8_t *bytes, size_t len)
{
    for (unsigned number = 0; number < POOL_KEYS; number++) {
        const pool_key_t *key = &pool()->keys[number];
        if (memmem(bytes, len, key->in_public, POOL_NEEDLE_PUBLIC) != NULL) {
            return key;
        }
    }
    return NULL;
}

bool pool_leaks_in(const void *bytes, size_t len)
{
    for (unsigned number = 0; number < POOL_KEYS; number++) {
        const pool_key_t *key = &pool()->keys[number];
        if (memmem(bytes, len, key->in_private, POOL_NEEDLE_PRIVATE) != NULL ||
                memmem(bytes, len, key->in_pem, POOL_NEEDLE_PRIVATE) != NULL) {
            return true;
        }
    }
    return false;
}
