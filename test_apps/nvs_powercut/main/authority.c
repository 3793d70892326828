/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "authority.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key_backend.h"
#include "mbedtls/base64.h"
#include "mbedtls/oid.h"
#include "mbedtls/x509_crt.h"
#include "mbedtls_compat.h"

#define ROOT_NAME "CN=Test root"
#define ISSUING_NAME "CN=Test issuing CA"

static mbedtls_pk_context s_root_key;
static mbedtls_pk_context s_issuing_key;
static char s_root_pem[AUTHORITY_PEM_MAX];
static char s_issuing_pem[AUTHORITY_PEM_MAX];

static void need(bool good, const char *what)
{
    if (!good) {
        printf("nvs_powercut: the test's authority failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* A certificate for a CA or, with path_len -1, for a device. */
static void certify(const char *name, mbedtls_pk_context *key, const char *issuer, mbedtls_pk_context *issuer_key,
                    int path_len, char *pem)
{
    static unsigned char serial[] = { 0x01, 0x00, 0x00 };
    static mbedtls_asn1_sequence client_auth = {
        .buf = {
            .tag = MBEDTLS_ASN1_OID,
            .len = MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH),
            .p = (unsigned char *)MBEDTLS_OID_CLIENT_AUTH,
        },
    };
    serial[1] += ++serial[2] == 0; /* counts up */
    mbedtls_x509write_cert crt;
    mbedtls_x509write_crt_init(&crt);
    mbedtls_x509write_crt_set_version(&crt, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&crt, key);
    mbedtls_x509write_crt_set_issuer_key(&crt, issuer_key);
    need(mbedtls_x509write_crt_set_serial_raw(&crt, serial, sizeof(serial)) == 0 &&
         mbedtls_x509write_crt_set_subject_name(&crt, name) == 0 &&
         mbedtls_x509write_crt_set_issuer_name(&crt, issuer) == 0 &&
         mbedtls_x509write_crt_set_validity(&crt, "20260101000000", "20460101000000") == 0 &&
         mbedtls_x509write_crt_set_basic_constraints(&crt, path_len >= 0, path_len) == 0 &&
         (path_len >= 0 || mbedtls_x509write_crt_set_ext_key_usage(&crt, &client_auth) == 0) &&
         mbedtls_x509write_crt_pem(&crt, (unsigned char *)pem, AUTHORITY_PEM_MAX COMPAT_RNG_ARGS) == 0, name);
    mbedtls_x509write_crt_free(&crt);
}

void authority_make(void)
{
    need(psa_crypto_init() == PSA_SUCCESS, "PSA Crypto");
    authority_make_key(&s_root_key);
    authority_make_key(&s_issuing_key);
    certify(ROOT_NAME, &s_root_key, ROOT_NAME, &s_root_key, 1, s_root_pem);
    certify(ISSUING_NAME, &s_issuing_key, ROOT_NAME, &s_root_key, 0, s_issuing_pem);
}

const char *authority_root_pem(void)
{
    return s_root_pem;
}

const char *authority_issuing_pem(void)
{
    return s_issuing_pem;
}

void authority_make_key(mbedtls_pk_context *key)
{
    uint8_t der[CERT_KEY_MAX];
    size_t len;
    mbedtls_pk_init(key);
    need(key_backend_software.generate(NULL, CERT_KEY_EC_P256, der, &len) == CERT_OK &&
         key_software_load(der, len, key) == CERT_OK, "a key");
}

void authority_issue(const char *device_id, mbedtls_pk_context *key, char *pem)
{
    char name[sizeof("CN=") + CERT_DEVICE_ID_MAX];
    snprintf(name, sizeof(name), "CN=%s", device_id);
    certify(name, key, ISSUING_NAME, &s_issuing_key, -1, pem);
}

void authority_sign(const char *signed_text, char *signature)
{
    uint8_t hash[32];
    uint8_t bytes[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len;
    need(psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)signed_text, strlen(signed_text), hash, sizeof(hash),
                          &len) == PSA_SUCCESS &&
         mbedtls_pk_sign(&s_root_key, MBEDTLS_MD_SHA256, hash, sizeof(hash), bytes, sizeof(bytes),
                         &len COMPAT_RNG_ARGS) == 0 &&
         mbedtls_base64_encode((unsigned char *)signature, AUTHORITY_SIGNATURE_MAX, &len, bytes, len) == 0,
         "a signature");
}
