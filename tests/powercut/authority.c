/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "authority.h"

#include <cJSON.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "test_pki.h"
#include "testing.h"

#define PUBLIC_DER_MAX 128
#define SCALAR_LEN 32
#define SCALAR_AT 7 /* in ECPrivateKey of RFC 5915 */
#define SIGNATURE_MAX 128

typedef struct {
    EVP_PKEY *pkey; /* NULL: not made yet */
    char *pem;
    uint8_t der[CERT_KEY_MAX];
    size_t der_len;
    uint8_t public_der[PUBLIC_DER_MAX];
    size_t public_len;
    char *csr;                             /* the request last verified; NULL: none yet */
    authority_certificate_t *certificates; /* a list */
} pool_key_t;

static test_pki_t s_pki;
static test_pki_t s_next_pki; /* its root is the second one */
static pool_key_t s_keys[AUTHORITY_KEYS_MAX];

void authority_make(void)
{
    pki_make(&s_pki);
    pki_make(&s_next_pki);
}

static pool_key_t *pool_key(int index)
{
    assert_in_range(index, 0, AUTHORITY_KEYS_MAX - 1);
    pool_key_t *key = &s_keys[index];
    if (key->pkey == NULL) {
        key->pkey = pki_ec_key("P-256");
        key->pem = pki_key_pem(key->pkey);
        key->der_len = pki_key_der(key->pkey, key->der, sizeof(key->der));
        uint8_t *out = key->public_der;
        assert_in_range(i2d_PUBKEY(key->pkey, NULL), 1, PUBLIC_DER_MAX);
        key->public_len = (size_t)i2d_PUBKEY(key->pkey, &out);
    }
    return key;
}

const uint8_t *authority_key_der(int key, size_t *len)
{
    *len = pool_key(key)->der_len;
    return pool_key(key)->der;
}

const char *authority_key_pem(int key)
{
    return pool_key(key)->pem;
}

bool authority_key_is_in(int key, const uint8_t *data, size_t len)
{
    return memmem(data, len, pool_key(key)->der + SCALAR_AT, SCALAR_LEN) != NULL;
}

int authority_find_key(const uint8_t *public_der, size_t len)
{
    for (int i = 0; i < AUTHORITY_KEYS_MAX && s_keys[i].pkey != NULL; i++) {
        if (s_keys[i].public_len == len && memcmp(s_keys[i].public_der, public_der, len) == 0) {
            return i;
        }
    }
    return -1;
}

int authority_key_of_csr(const char *csr_pem)
{
    for (int i = 0; i < AUTHORITY_KEYS_MAX && s_keys[i].pkey != NULL; i++) {
        if (s_keys[i].csr != NULL && strcmp(s_keys[i].csr, csr_pem) == 0) {
            return i;
        }
    }
    EVP_PKEY *pkey = pki_csr_key(csr_pem, NULL);
    uint8_t der[PUBLIC_DER_MAX];
    uint8_t *out = der;
    assert_in_range(i2d_PUBKEY(pkey, NULL), 1, sizeof(der));
    int len = i2d_PUBKEY(pkey, &out);
    EVP_PKEY_free(pkey);
    int key = authority_find_key(der, (size_t)len);
    assert_true(key >= 0);
    free(s_keys[key].csr);
    s_keys[key].csr = strdup(csr_pem);
    return key;
}

const authority_certificate_t *authority_certificate(int index, int64_t not_before)
{
    pool_key_t *key = pool_key(index);
    for (authority_certificate_t *made = key->certificates; made != NULL; made = made->next) {
        if (made->not_before == not_before) {
            return made;
        }
    }
    authority_certificate_t *certificate = calloc(1, sizeof(*certificate));
    assert_non_null(certificate);
    test_leaf_t leaf = pki_good_leaf();
    leaf.not_before = not_before;
    leaf.not_after = not_before + AUTHORITY_VALIDITY;
    certificate->pem = pki_issue(&s_pki.issuing, key->pkey, &leaf);
    pki_certificate_id(certificate->pem, certificate->id);
    certificate->not_before = not_before;
    certificate->next = key->certificates;
    key->certificates = certificate;
    return certificate;
}

const char *authority_chain_pem(void)
{
    return s_pki.chain_pem;
}

static const test_authority_t *root_of(root_t root)
{
    return root == ROOT_FIRST ? &s_pki.root : root == ROOT_SECOND ? &s_next_pki.root : &s_pki.foreign_root;
}

const char *authority_root_pem(root_t root)
{
    static char *pem[ROOTS];
    if (pem[root] == NULL) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *data;
        assert_int_equal(PEM_write_bio_X509(bio, root_of(root)->certificate), 1);
        size_t len = (size_t)BIO_get_mem_data(bio, &data);
        pem[root] = strndup(data, len);
        BIO_free(bio);
    }
    return pem[root];
}

const char *authority_bootstrap_pem(void)
{
    return s_pki.bootstrap_pem;
}

const char *authority_bootstrap_key_pem(void)
{
    return s_pki.bootstrap_key_pem;
}

/** The signature of the first root over a text, base64. */
static void sign(const char *text, unsigned char *out)
{
    unsigned char signature[SIGNATURE_MAX];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, s_pki.root.key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    EVP_EncodeBlock(out, signature, (int)len);
}

char *authority_trust_message(uint32_t version, const root_t *roots)
{
    char text[512];
    char id[CERT_ID_LEN + 1];
    unsigned char signature[2 * SIGNATURE_MAX];
    int used = snprintf(text, sizeof(text), "fleetpki-trust-anchors\n%u\n", (unsigned)version);
    cJSON *message = cJSON_CreateObject();
    cJSON_AddNumberToObject(message, "version", version);
    cJSON *anchors = cJSON_AddArrayToObject(message, "anchors");
    for (; *roots != ROOTS; roots++) {
        const char *pem = authority_root_pem(*roots);
        pki_certificate_id(pem, id);
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%s\n", id);
        cJSON_AddItemToArray(anchors, cJSON_CreateString(pem));
    }
    sign(text, signature);
    cJSON_AddStringToObject(message, "signature", (const char *)signature);
    char *payload = cJSON_PrintUnformatted(message);
    cJSON_Delete(message);
    return payload;
}
