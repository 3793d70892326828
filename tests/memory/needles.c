/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "needles.h"

#include <openssl/core_names.h>
#include <stdlib.h>

#include "test_pki.h"
#include "testing.h"

#define NUMBER_MAX 512 /* RSA-4096 */
#define BASE64_LINE 64

static void add(needles_t *needles, const void *bytes)
{
    assert_true(needles->count < NEEDLES_MAX);
    memcpy(needles->bytes[needles->count++], bytes, NEEDLE_LEN);
}

/** Every piece of a secret number: as in DER, and as in the limbs of a little-endian machine. */
static void add_number(needles_t *needles, EVP_PKEY *key, const char *name)
{
    BIGNUM *number = NULL;
    uint8_t big[NUMBER_MAX];
    uint8_t little[NUMBER_MAX];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    int len = (BN_num_bytes(number) + NEEDLE_LEN - 1) / NEEDLE_LEN * NEEDLE_LEN;
    assert_int_equal(BN_bn2binpad(number, big, len), len);
    assert_int_equal(BN_bn2lebinpad(number, little, len), len);
    BN_clear_free(number);
    for (int at = 0; at < len; at += NEEDLE_LEN) {
        add(needles, big + at);
        add(needles, little + at);
    }
}

/**
 * Pieces of a PEM text between `from` and `to`, counted in base64 characters. No piece crosses a line break, which JSON
 * writes in its own way.
 */
static void add_text(needles_t *needles, const char *pem, size_t from, size_t to)
{
    const char *lines = strchr(pem, '\n') + 1;
    for (size_t at = from; at + NEEDLE_LEN <= to; at += NEEDLE_LEN) {
        const char *piece = lines + at / BASE64_LINE * (BASE64_LINE + 1) + at % BASE64_LINE;
        assert_null(memchr(piece, '\n', NEEDLE_LEN));
        add(needles, piece);
    }
}

void needles_of_key(EVP_PKEY *key, needles_t *needles)
{
    char *pem = pki_key_pem(key);
    size_t text_len = strlen(strchr(pem, '\n')) - strlen("\n-----END PRIVATE KEY-----\n");
    size_t characters = text_len - text_len / (BASE64_LINE + 1);
    needles->count = 0;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        add_number(needles, key, OSSL_PKEY_PARAM_PRIV_KEY);
        add_text(needles, pem, 48, 96); /* the scalar is at bytes 36 to 67 of the DER */
    } else {
        add_number(needles, key, OSSL_PKEY_PARAM_RSA_FACTOR1);
        add_number(needles, key, OSSL_PKEY_PARAM_RSA_FACTOR2);
        add_number(needles, key, OSSL_PKEY_PARAM_RSA_D);
        add_text(needles, pem, characters / 2 / BASE64_LINE * BASE64_LINE, characters - BASE64_LINE); /* the primes */
    }
    free(pem);
}

void needles_of_reference(const uint8_t *der, size_t len, needles_t *needles)
{
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, (long)len);
    assert_non_null(key);
    needles_of_key(key, needles);
    EVP_PKEY_free(key);
}
