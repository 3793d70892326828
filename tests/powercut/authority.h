/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Keys and certificates of the simulated world. What costs time is made once: the n-th key of every run is the
 * same key, and the same key certified at the same time has the same certificate.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_limits.h"

/** Keys one device and its cloud may make in one run. */
#define AUTHORITY_KEYS_MAX 512

/** How long a device certificate is valid, in seconds. */
#define AUTHORITY_VALIDITY (90 * INT64_C(86400))

/** @brief The roots the cloud's servers may have their certificates from. */
typedef enum {
    ROOT_FIRST,   /*!< In the device from the factory */
    ROOT_SECOND,  /*!< The cloud's next one */
    ROOT_FOREIGN, /*!< One the cloud's servers never use */
    ROOTS,
} root_t;

/** @brief A certificate as the cloud sends it. */
typedef struct authority_certificate {
    char id[CERT_ID_LEN + 1];
    char *pem;
    int64_t not_before;
    struct authority_certificate *next; /* of the same key */
} authority_certificate_t;

/** @brief Make roots, issuing CA and bootstrap identity. */
void authority_make(void);

/** @brief The n-th private key: DER as the device stores it. */
const uint8_t *authority_key_der(int key, size_t *len);

/** @brief The same as PKCS#8 PEM, as the cloud pushes it. */
const char *authority_key_pem(int key);

/** @brief Do any of these bytes hold the private key? */
bool authority_key_is_in(int key, const uint8_t *data, size_t len);

/** @brief The key with this public key (SubjectPublicKeyInfo in DER); -1 if it is none of ours. */
int authority_find_key(const uint8_t *public_der, size_t len);

/** @brief The key that a certification request is for, after its signature was verified. */
int authority_key_of_csr(const char *csr_pem);

/** @brief The device's certificate for a key, valid from a time on. */
const authority_certificate_t *authority_certificate(int key, int64_t not_before);

/** @brief The issuing CA's certificate. */
const char *authority_chain_pem(void);

/** @brief A root certificate. */
const char *authority_root_pem(root_t root);

/** @brief The bootstrap identity, from the factory. */
const char *authority_bootstrap_pem(void);
const char *authority_bootstrap_key_pem(void);

/**
 * @brief The `certs/trust` message for a set of roots (ROOT_…, ending in ROOTS), signed by the first root. Free with
 * free().
 */
char *authority_trust_message(uint32_t version, const root_t *roots);
