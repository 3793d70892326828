/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * The software key backend with keys out of the pool instead of new ones. All but the making is the core's own: the
 * build compiles the core's key_backend.c with its backend renamed to `key_backend_real`.
 */
#include "key_backend.h"

#include <string.h>

#include "pool.h"

extern const cert_key_backend_t key_backend_real;

static cert_status_t take_from_pool(void *ctx, cert_key_type_t type, uint8_t *ref, size_t *ref_len)
{
    (void)ctx;
    unsigned number = type == CERT_KEY_EC_P256 ? pool_next_key++ % POOL_RSA_KEY : POOL_RSA_KEY;
    const pool_key_t *key = &pool()->keys[number];
    memcpy(ref, key->der, key->der_len);
    *ref_len = key->der_len;
    return CERT_OK;
}

static cert_status_t public_key(void *ctx, const uint8_t *ref, size_t ref_len, uint8_t *spki, size_t *spki_len)
{
    return key_backend_real.public_key(ctx, ref, ref_len, spki, spki_len);
}

static cert_status_t sign(void *ctx, const uint8_t *ref, size_t ref_len, const uint8_t *hash, uint8_t *signature,
                          size_t *signature_len)
{
    return key_backend_real.sign(ctx, ref, ref_len, hash, signature, signature_len);
}

const cert_key_backend_t key_backend_software = {
    .kind = CERT_KEY_KIND_SOFTWARE,
    .generate = take_from_pool,
    .public_key = public_key,
    .sign = sign,
};
