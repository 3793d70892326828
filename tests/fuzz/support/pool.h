/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Keys and certificates made once, at the start, and the same in every run.
 *
 * Making keys and signing takes most of the time otherwise, and an input has to do the same thing whenever it is
 * replayed. So OpenSSL is given a random generator that is none.
 */
#pragma once

#include "cert_mgmt/cert_identity.h"
#include "test_pki.h"

/** Keys a device can "make": the last one is RSA, the others EC P-256. */
#define POOL_KEYS 6
#define POOL_RSA_KEY (POOL_KEYS - 1)

#define POOL_NEEDLE_PRIVATE 32
#define POOL_NEEDLE_PUBLIC 65

/** @brief Certificates there are of every key. Those before POOL_GOOD_COUNT are to be accepted. */
typedef enum {
    POOL_GOOD,
    POOL_GOOD_NEWER,
    POOL_GOOD_NEWEST,
    POOL_GOOD_LONG,     /* valid longer than all others */
    POOL_GOOD_COUNT,
    POOL_WRONG_SUBJECT = POOL_GOOD_COUNT,
    POOL_TWO_SUBJECTS,
    POOL_SERVER_AUTH,
    POOL_NO_USAGE,
    POOL_EXPIRED,
    POOL_NOT_YET_VALID,
    POOL_FOREIGN,       /* signed by a root that only has our root's name */
    POOL_BY_BOOTSTRAP,  /* signed by the bootstrap CA */
    POOL_VARIANTS,
} pool_variant_t;

/** @brief A certificate. */
typedef struct {
    char *pem;
    char id[CERT_ID_LEN + 1];
    const uint8_t
        *signed_part; /* TBSCertificate: tells certificates apart, whatever was done to the signature's encoding */
    size_t signed_len;
} pool_certificate_t;

/** @brief A key and its certificates. */
typedef struct {
    EVP_PKEY *key;
    char *pem;                                /* PKCS#8 */
    uint8_t der[CERT_KEY_MAX];                /* as the software backend keeps it */
    size_t der_len;
    uint8_t in_private[POOL_NEEDLE_PRIVATE];  /* bytes of `der` that nobody but the owner may know */
    uint8_t in_public[POOL_NEEDLE_PUBLIC];    /* bytes of every certificate and request of this key */
    char in_pem[POOL_NEEDLE_PRIVATE + 1];     /* characters of `pem` that nobody but the owner may know */
    pool_certificate_t certificates[POOL_VARIANTS];
} pool_key_t;

/** @brief All of them. */
typedef struct {
    test_pki_t pki;
    pool_key_t keys[POOL_KEYS];
} pool_t;

/** @brief The pool; made by the first call. */
const pool_t *pool(void);

/** @brief Make OpenSSL repeatable. pool() does it first. */
void pool_make_random_repeatable(void);

/** @brief The key whose public part these bytes contain; NULL if there is none. */
const pool_key_t *pool_key_in(const uint8_t *bytes, size_t len);

/**
 * @brief Does any private key, raw or as PEM, show in these bytes?
 *
 * The fuzzer learns from what is compared, and so comes to know keys: an input that itself contains one proves nothing.
 */
bool pool_leaks_in(const void *bytes, size_t len);

/** @brief The number of the next key a device will "make": key_pool.c counts it up. */
extern unsigned pool_next_key;
