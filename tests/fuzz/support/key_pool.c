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

extern const key_backend_t key_backend_real;

static cert_status_t take_from_pool(cert_key_type_t type, uint8_t *ref, size_t *ref_len)
{
    unsigned number = type == CERT_KEY_EC_P256 ? pool_next_key++ % POOL_RSA_KEY : POOL_RSA_KEY;
    const pool_key_t *key = &pool()->keys[number];
    memcpy(ref, key->der, key->der_len);
    *ref_len = key->der_len;
    return CERT_OK;
}

static cert_status_t load(const uint8_t *ref, size_t ref_len, mbedtls_pk_context *pk)
{
    return key_backend_real.load(ref, ref_len, pk);
}

const key_backend_t key_backend_software = {
    .kind = CERT_KEY_KIND_SOFTWARE,
    .generate = take_from_pool,
    .load = load,
};
