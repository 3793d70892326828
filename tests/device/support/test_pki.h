/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A PKI made in the test's process with OpenSSL, so that mbedTLS is never checked by itself.
 *
 * Everything is relative to TEST_NOW. What is returned as text belongs to the caller (free()).
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

/** The time at which the tests take place: 2027-01-15T08:00:00Z. */
#define TEST_NOW INT64_C(1800000000)

#define TEST_DAY INT64_C(86400)

/** The device the tests are about. */
#define TEST_DEVICE "pump-0042"

/** @brief A CA that can sign. */
typedef struct {
    EVP_PKEY *key;
    X509 *certificate;
} test_authority_t;

/** @brief The hierarchy of the cloud, and one that is not ours. */
typedef struct {
    test_authority_t root;
    test_authority_t issuing;         /* below root; valid */
    test_authority_t expired_issuing; /* below root; past its notAfter */
    test_authority_t bootstrap;       /* self-signed */
    test_authority_t foreign_root;    /* self-signed, same name as root */
    char *anchors_pem;                /* root */
    char *chain_pem;                  /* issuing */
    char *bootstrap_pem;              /* bootstrap certificate */
    char *bootstrap_key_pem;
} test_pki_t;

/** @brief What a leaf certificate is to be; pki_good_leaf() is what the cloud issues. */
typedef struct {
    const char *common_name;
    const char *second_common_name; /* NULL: none */
    int64_t not_before;
    int64_t not_after;
    bool client_auth; /* extended key usage clientAuth; else serverAuth */
    bool no_extended_key_usage;
    const char *alternative_names; /* as in openssl.cnf, e.g. "DNS:localhost"; NULL: none */
} test_leaf_t;

/** @brief Make the hierarchy. */
void pki_make(test_pki_t *pki);

/** @brief Release it. */
void pki_free(test_pki_t *pki);

/** @brief A leaf for TEST_DEVICE, valid from an hour ago for a year. */
test_leaf_t pki_good_leaf(void);

/** @brief Issue a certificate as PEM. */
char *pki_issue(const test_authority_t *issuer, EVP_PKEY *subject_key, const test_leaf_t *leaf);

/** @brief The certificate id as OpenSSL sees it: lower-case hex SHA-256 of the DER. `id` holds 65 bytes. */
void pki_certificate_id(const char *pem, char *id);

/** @brief An authority's own certificate as PEM. */
char *pki_authority_pem(const test_authority_t *authority);

/** @brief SHA-256 signature of a text by an authority, in base64. */
char *pki_sign_text(const test_authority_t *authority, const char *text);

/** @brief New keys. Free with EVP_PKEY_free(). */
EVP_PKEY *pki_ec_key(const char *curve);
EVP_PKEY *pki_rsa_key(unsigned bits);

/** @brief A private key as PKCS#8 PEM. */
char *pki_key_pem(EVP_PKEY *key);

/** @brief A private key as traditional DER (SEC1, PKCS#1). @return its length */
size_t pki_key_der(EVP_PKEY *key, uint8_t *out, size_t cap);

/**
 * @brief The public key of a certification request, after its signature has been verified.
 * @param[out] common_name  65 bytes; the subject's one and only attribute. NULL if not wanted.
 */
EVP_PKEY *pki_csr_key(const char *csr_pem, char *common_name);

/** @brief Does this private key, a reference of the software backend, belong to the certificate? */
bool pki_key_belongs(const uint8_t *key, size_t key_len, const char *certificate_pem);
