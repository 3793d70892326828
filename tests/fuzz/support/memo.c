/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Elliptic curves take nearly all of the time, and mostly for questions asked a thousand times before. These functions
 * stand in front of mbedTLS's own of the same name, remember what those answered, and answer alike: same key, same
 * hash, same signature.
 *
 * For mbedTLS 2.28, the version of Debian 12 and Ubuntu 24.04; another one is asked each time.
 */
#include <mbedtls/version.h>

#if MBEDTLS_VERSION_NUMBER < 0x03000000

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <mbedtls/pk.h>
#include <openssl/evp.h>
#include <string.h>

#include "require.h"

#define ENTRIES 4096
#define KEY_DER_MAX 4096
#define QUESTION_LEN 32

typedef struct {
    uint8_t question[QUESTION_LEN];
    int answer;
    size_t signature_len;
    uint8_t signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
} entry_t;

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    REQUIRE(function != NULL, name);
    return function;
}

/* The key, from the end of `der`; 0 if it cannot be written. */
static int write_key(const mbedtls_pk_context *pk, bool is_private, uint8_t *der)
{
    mbedtls_pk_context *key = (mbedtls_pk_context *)pk;
    return is_private ? mbedtls_pk_write_key_der(key, der, KEY_DER_MAX)
                      : mbedtls_pk_write_pubkey_der(key, der, KEY_DER_MAX);
}

static bool ask(const mbedtls_pk_context *pk, bool is_private, const uint8_t *hash, size_t hash_len,
                const uint8_t *signature, size_t signature_len, uint8_t *question)
{
    static uint8_t der[KEY_DER_MAX];
    static EVP_MD_CTX *ctx;
    int key_len = write_key(pk, is_private, der);
    if (key_len <= 0) {
        return false;
    }
    ctx = ctx != NULL ? ctx : EVP_MD_CTX_new();
    bool good = EVP_DigestInit(ctx, EVP_sha256()) == 1 &&
                EVP_DigestUpdate(ctx, der + KEY_DER_MAX - key_len, (size_t)key_len) == 1 &&
                EVP_DigestUpdate(ctx, &is_private, sizeof(is_private)) == 1 &&
                EVP_DigestUpdate(ctx, &hash_len, sizeof(hash_len)) == 1 && EVP_DigestUpdate(ctx, hash, hash_len) == 1 &&
                EVP_DigestUpdate(ctx, signature, signature_len) == 1 && EVP_DigestFinal_ex(ctx, question, NULL) == 1;
    REQUIRE(good, "no hash");
    return true;
}

static entry_t *entry_of(const uint8_t *question)
{
    static entry_t entries[ENTRIES];
    size_t index;
    memcpy(&index, question, sizeof(index));
    return &entries[index % ENTRIES];
}

int mbedtls_pk_verify_ext(mbedtls_pk_type_t type, const void *options, mbedtls_pk_context *pk, mbedtls_md_type_t md,
                          const unsigned char *hash, size_t hash_len, const unsigned char *sig, size_t sig_len)
{
    static int (*verify)(mbedtls_pk_type_t, const void *, mbedtls_pk_context *, mbedtls_md_type_t,
                         const unsigned char *, size_t, const unsigned char *, size_t);
    if (verify == NULL) {
        *(void **)&verify = real("mbedtls_pk_verify_ext");
    }
    uint8_t question[QUESTION_LEN];
    if (type != MBEDTLS_PK_ECDSA || !ask(pk, false, hash, hash_len, sig, sig_len, question)) {
        return verify(type, options, pk, md, hash, hash_len, sig, sig_len);
    }
    entry_t *entry = entry_of(question);
    if (memcmp(entry->question, question, sizeof(question)) != 0) {
        /* Kept only afterwards: mbedTLS asks the function below the same. */
        entry->answer = verify(type, options, pk, md, hash, hash_len, sig, sig_len);
        memcpy(entry->question, question, sizeof(question));
    }
    return entry->answer;
}

int mbedtls_pk_verify(mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash, size_t hash_len,
                      const unsigned char *sig, size_t sig_len)
{
    static int (*verify)(mbedtls_pk_context *, mbedtls_md_type_t, const unsigned char *, size_t, const unsigned char *,
                         size_t);
    if (verify == NULL) {
        *(void **)&verify = real("mbedtls_pk_verify");
    }
    uint8_t question[QUESTION_LEN];
    if (!ask(pk, false, hash, hash_len, sig, sig_len, question)) {
        return verify(pk, md, hash, hash_len, sig, sig_len);
    }
    entry_t *entry = entry_of(question);
    if (memcmp(entry->question, question, sizeof(question)) != 0) {
        entry->answer = verify(pk, md, hash, hash_len, sig, sig_len);
        memcpy(entry->question, question, sizeof(question));
    }
    return entry->answer;
}

int mbedtls_pk_sign(mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash, size_t hash_len,
                    unsigned char *sig, size_t *sig_len, int (*random)(void *, unsigned char *, size_t),
                    void *random_ctx)
{
    static int (*sign)(mbedtls_pk_context *, mbedtls_md_type_t, const unsigned char *, size_t, unsigned char *,
                       size_t *, int (*)(void *, unsigned char *, size_t), void *);
    if (sign == NULL) {
        *(void **)&sign = real("mbedtls_pk_sign");
    }
    uint8_t question[QUESTION_LEN];
    if (!ask(pk, true, hash, hash_len, NULL, 0, question)) {
        return sign(pk, md, hash, hash_len, sig, sig_len, random, random_ctx);
    }
    entry_t *entry = entry_of(question);
    if (memcmp(entry->question, question, sizeof(question)) != 0) {
        entry->answer = sign(pk, md, hash, hash_len, entry->signature, &entry->signature_len, random, random_ctx);
        memcpy(entry->question, question, sizeof(question));
    }
    *sig_len = entry->signature_len;
    memcpy(sig, entry->signature, entry->signature_len);
    return entry->answer;
}

#endif
