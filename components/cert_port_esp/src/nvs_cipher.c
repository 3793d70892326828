/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* XTS as in IEEE 1619: PSA Crypto has only the block cipher it is made of. */
#include "nvs_cipher.h"

#include <string.h>

#include "mbedtls/platform_util.h"
#include "nvs_pages.h"

#define BLOCK_SIZE 16

static bool import_key(psa_key_id_t *id, const uint8_t *key, psa_key_usage_t usage)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_AES);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECB_NO_PADDING);
    psa_set_key_usage_flags(&attributes, usage);
    return psa_import_key(&attributes, key, NVS_KEY_SIZE, id) == PSA_SUCCESS;
}

bool nvs_cipher_open(nvs_cipher_t *cipher, const nvs_sec_cfg_t *keys)
{
    *cipher = (nvs_cipher_t) { .data = PSA_KEY_ID_NULL, .tweak = PSA_KEY_ID_NULL };
    return psa_crypto_init() == PSA_SUCCESS && import_key(&cipher->data, keys->eky, PSA_KEY_USAGE_DECRYPT) &&
           import_key(&cipher->tweak, keys->tky, PSA_KEY_USAGE_ENCRYPT);
}

/** The next block's tweak: a multiplication by x in GF(2^128), least significant byte first. */
static void step(uint8_t *tweak)
{
    uint8_t carry = tweak[BLOCK_SIZE - 1] >> 7;
    for (size_t i = BLOCK_SIZE - 1; i > 0; i--) {
        tweak[i] = (uint8_t)(tweak[i] << 1 | tweak[i - 1] >> 7);
    }
    tweak[0] = (uint8_t)(tweak[0] << 1 ^ (carry ? 0x87 : 0));
}

static void add(uint8_t *block, const uint8_t *tweak)
{
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        block[i] ^= tweak[i];
    }
}

bool nvs_cipher_decrypt(const void *key, uint32_t offset, uint8_t *entry)
{
    const nvs_cipher_t *cipher = key;
    uint8_t unit[BLOCK_SIZE] = { (uint8_t)offset, (uint8_t)(offset >> 8), (uint8_t)(offset >> 16),
                                 (uint8_t)(offset >> 24)
                               };
    uint8_t tweak[BLOCK_SIZE];
    uint8_t plain[BLOCK_SIZE];
    size_t len;
    bool done = psa_cipher_encrypt(cipher->tweak, PSA_ALG_ECB_NO_PADDING, unit, sizeof(unit), tweak, sizeof(tweak),
                                   &len) == PSA_SUCCESS;
    for (uint8_t *block = entry; done && block < entry + NVS_ENTRY_SIZE; block += BLOCK_SIZE) {
        add(block, tweak);
        done = psa_cipher_decrypt(cipher->data, PSA_ALG_ECB_NO_PADDING, block, BLOCK_SIZE, plain, sizeof(plain),
                                  &len) == PSA_SUCCESS;
        add(plain, tweak);
        memcpy(block, plain, BLOCK_SIZE);
        step(tweak);
    }
    mbedtls_platform_zeroize(plain, sizeof(plain));
    return done;
}

void nvs_cipher_close(nvs_cipher_t *cipher)
{
    psa_destroy_key(cipher->data);
    psa_destroy_key(cipher->tweak);
}
