/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Public-key operations take nearly all the time of a run. The linker (--wrap) puts these functions in the place of the
 * core's: each is called for real once for every different input and gives the same answer again. Only key generation
 * is replaced: keys come from the authority's pool.
 */
#include "shortcuts.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "authority.h"
#include "cert_check.h"
#include "csr.h"
#include "key_backend.h"
#include "testing.h"
#include "trust_store.h"

#define HASH_LEN 32 /* SHA-256 */
#define ANSWERS_MAX 16384 /* a power of two */

/* What a check has answered to an input, known by its hash. */
typedef struct {
    bool used;
    uint8_t input[HASH_LEN];
    cert_status_t status;
    cert_summary_t summary;
    const char *why;
} answer_t;

static answer_t s_answers[ANSWERS_MAX];
static unsigned s_answer_count;
static int *s_keys_made;

void shortcuts_count_keys(int *keys_made)
{
    s_keys_made = keys_made;
}

/* ---------------------------------------------------------------- key generation */

extern const cert_key_backend_t __real_key_backend_software;

static cert_status_t generate(void *ctx, cert_key_type_t type, uint8_t *ref, size_t *ref_len)
{
    (void)ctx;
    assert_int_equal(type, CERT_KEY_EC_P256);
    const uint8_t *der = authority_key_der((*s_keys_made)++, ref_len);
    memcpy(ref, der, *ref_len);
    return CERT_OK;
}

static cert_status_t public_key(void *ctx, const uint8_t *ref, size_t ref_len, uint8_t *spki, size_t *spki_len)
{
    return __real_key_backend_software.public_key(ctx, ref, ref_len, spki, spki_len);
}

static cert_status_t sign(void *ctx, const uint8_t *ref, size_t ref_len, const uint8_t *hash, uint8_t *signature,
                          size_t *signature_len)
{
    return __real_key_backend_software.sign(ctx, ref, ref_len, hash, signature, signature_len);
}

extern const cert_key_backend_t __wrap_key_backend_software;
const cert_key_backend_t __wrap_key_backend_software = {
    .kind = CERT_KEY_KIND_SOFTWARE,
    .generate = generate,
    .public_key = public_key,
    .sign = sign,
};

/* ---------------------------------------------------------------- certification requests */

cert_status_t __real_csr_write_pem(const cert_key_backend_t *backend, const uint8_t *ref, size_t ref_len,
                                   const char *device_id, char *out, size_t cap);
cert_status_t __wrap_csr_write_pem(const cert_key_backend_t *backend, const uint8_t *ref, size_t ref_len,
                                   const char *device_id, char *out, size_t cap);

cert_status_t __wrap_csr_write_pem(const cert_key_backend_t *backend, const uint8_t *ref, size_t ref_len,
                                   const char *device_id, char *out, size_t cap)
{
    static char *requests[AUTHORITY_KEYS_MAX];
    uint8_t spki[CERT_PUBLIC_KEY_MAX];
    size_t spki_len;
    assert_int_equal(backend->public_key(backend->ctx, ref, ref_len, spki, &spki_len), CERT_OK);
    int index = authority_find_key(spki, spki_len);
    assert_true(index >= 0);
    if (requests[index] == NULL) {
        char request[CERT_CSR_PEM_MAX];
        assert_int_equal(__real_csr_write_pem(backend, ref, ref_len, device_id, request, sizeof(request)), CERT_OK);
        requests[index] = strdup(request);
    }
    size_t size = strlen(requests[index]) + 1;
    assert_true(size <= cap);
    memcpy(out, requests[index], size);
    return CERT_OK;
}

/* ---------------------------------------------------------------- checks */

/** The answer to an input, or a free place for it. */
static answer_t *find_answer(const uint8_t *input)
{
    uint32_t at;
    memcpy(&at, input, sizeof(at));
    for (;; at++) {
        answer_t *answer = &s_answers[at % ANSWERS_MAX];
        if (!answer->used || memcmp(answer->input, input, sizeof(answer->input)) == 0) {
            return answer;
        }
    }
}

static void keep_answer(answer_t *answer, const uint8_t *input)
{
    assert_true(++s_answer_count < ANSWERS_MAX);
    answer->used = true;
    memcpy(answer->input, input, sizeof(answer->input));
}

static EVP_MD_CTX *hash_begin(const char *what)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(hash, EVP_sha256(), NULL), 1);
    assert_int_equal(EVP_DigestUpdate(hash, what, strlen(what) + 1), 1);
    return hash;
}

static void hash_bytes(EVP_MD_CTX *hash, const void *data, size_t len)
{
    assert_int_equal(EVP_DigestUpdate(hash, &len, sizeof(len)), 1);
    assert_int_equal(EVP_DigestUpdate(hash, data, len), 1);
}

static void hash_text(EVP_MD_CTX *hash, const char *text)
{
    hash_bytes(hash, text, strlen(text));
}

static void hash_end(EVP_MD_CTX *hash, uint8_t *out)
{
    assert_int_equal(EVP_DigestFinal_ex(hash, out, NULL), 1);
    EVP_MD_CTX_free(hash);
}

cert_status_t __real_cert_check_candidate(const cert_check_rules_t *rules, const cert_identity_t *candidate,
                                          cert_summary_t *summary, const char **why);
cert_status_t __wrap_cert_check_candidate(const cert_check_rules_t *rules, const cert_identity_t *candidate,
                                          cert_summary_t *summary, const char **why);

cert_status_t __wrap_cert_check_candidate(const cert_check_rules_t *rules, const cert_identity_t *candidate,
                                          cert_summary_t *summary, const char **why)
{
    uint8_t input[HASH_LEN];
    EVP_MD_CTX *hash = hash_begin("candidate");
    hash_text(hash, rules->device_id);
    hash_text(hash, rules->anchors_pem);
    hash_text(hash, rules->current != NULL ? rules->current->id : "");
    hash_bytes(hash, &rules->now, sizeof(rules->now));
    hash_bytes(hash, &rules->now_is_known, sizeof(rules->now_is_known));
    hash_bytes(hash, candidate->key, candidate->key_len);
    hash_text(hash, candidate->chain_pem);
    hash_end(hash, input);
    answer_t *answer = find_answer(input);
    if (!answer->used) {
        keep_answer(answer, input);
        answer->status = __real_cert_check_candidate(rules, candidate, &answer->summary, &answer->why);
    }
    *summary = answer->summary;
    *why = answer->why;
    return answer->status;
}

cert_status_t __real_trust_store_check(const cert_trust_set_t *current, const cert_trust_set_t *next,
                                       const uint8_t *signature, size_t signature_len, const char **why);
cert_status_t __wrap_trust_store_check(const cert_trust_set_t *current, const cert_trust_set_t *next,
                                       const uint8_t *signature, size_t signature_len, const char **why);

cert_status_t __wrap_trust_store_check(const cert_trust_set_t *current, const cert_trust_set_t *next,
                                       const uint8_t *signature, size_t signature_len, const char **why)
{
    uint8_t input[HASH_LEN];
    EVP_MD_CTX *hash = hash_begin("trust");
    hash_bytes(hash, &current->version, sizeof(current->version));
    hash_text(hash, current->anchors_pem);
    hash_bytes(hash, &next->version, sizeof(next->version));
    hash_text(hash, next->anchors_pem);
    hash_bytes(hash, signature, signature_len);
    hash_end(hash, input);
    answer_t *answer = find_answer(input);
    if (!answer->used) {
        keep_answer(answer, input);
        answer->status = __real_trust_store_check(current, next, signature, signature_len, &answer->why);
    }
    *why = answer->why;
    return answer->status;
}

cert_status_t __real_cert_check_summarize(const char *chain_pem, cert_summary_t *summary);
cert_status_t __wrap_cert_check_summarize(const char *chain_pem, cert_summary_t *summary);

cert_status_t __wrap_cert_check_summarize(const char *chain_pem, cert_summary_t *summary)
{
    uint8_t input[HASH_LEN];
    EVP_MD_CTX *hash = hash_begin("summary");
    hash_text(hash, chain_pem);
    hash_end(hash, input);
    answer_t *answer = find_answer(input);
    if (!answer->used) {
        keep_answer(answer, input);
        answer->status = __real_cert_check_summarize(chain_pem, &answer->summary);
    }
    if (answer->status == CERT_OK) {
        *summary = answer->summary;
    }
    return answer->status;
}
