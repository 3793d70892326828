/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cert_mgmt/cert_key_ds.h"

#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>

#include "../bytes.h"
#include "../key_backend.h"
#include "rsa_operands.h"

#define FORMAT 1
#define HEADER_LEN 6
#define BITS_MIN 2048

/* DigestInfo of SHA-256 up to the hash (RFC 8017, 9.2, note 1) */
static const uint8_t s_digest_info[] = { 0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                         0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };

/** @brief Room for the private key on its way from PSA Crypto into its sealed form. */
typedef struct {
    uint8_t der[CERT_KEY_MAX];
    size_t der_len;
    cert_rsa_operands_t operands;
} workshop_t;

cert_status_t cert_key_ds_parse(const uint8_t *ref, size_t ref_len, cert_key_ds_ref_t *parts)
{
    if (ref_len < HEADER_LEN || ref[0] != FORMAT) {
        return CERT_ERR_CORRUPT;
    }
    parts->bits = bytes_get_u16(ref + 2);
    parts->spki_len = bytes_get_u16(ref + 4);
    if (parts->bits < BITS_MIN || parts->bits > 32 * CERT_RSA_WORDS_MAX || parts->bits % 32 != 0 ||
            parts->spki_len > CERT_PUBLIC_KEY_MAX || HEADER_LEN + parts->spki_len >= ref_len) {
        return CERT_ERR_CORRUPT;
    }
    parts->spki = ref + HEADER_LEN;
    parts->sealed = parts->spki + parts->spki_len;
    parts->sealed_len = ref_len - HEADER_LEN - parts->spki_len;
    return CERT_OK;
}

static size_t bits_of(cert_key_type_t type)
{
    switch (type) {
    case CERT_KEY_RSA_2048:
        return 2048;
    case CERT_KEY_RSA_3072:
        return 3072;
    case CERT_KEY_RSA_4096:
        return 4096;
    default:
        return 0;
    }
}

static cert_status_t make_and_seal(const cert_key_ds_chip_t *chip, cert_key_type_t type, workshop_t *work, uint8_t *ref,
                                   size_t *ref_len)
{
    cert_status_t status = key_backend_software.generate(NULL, type, work->der, &work->der_len);
    if (status == CERT_OK) {
        status = rsa_operands_read(work->der, work->der_len, &work->operands);
    }
    size_t spki_len = 0;
    size_t sealed_len = 0;
    if (status == CERT_OK) {
        status = key_backend_software.public_key(NULL, work->der, work->der_len, ref + HEADER_LEN, &spki_len);
    }
    if (status == CERT_OK) {
        status = chip->seal(chip->ctx, &work->operands, ref + HEADER_LEN + spki_len, &sealed_len);
    }
    mbedtls_platform_zeroize(work, sizeof(*work));
    if (status != CERT_OK) {
        return status;
    }
    ref[0] = FORMAT;
    ref[1] = 0;
    bytes_put_u16(ref + 2, (uint16_t)bits_of(type));
    bytes_put_u16(ref + 4, (uint16_t)spki_len);
    *ref_len = HEADER_LEN + spki_len + sealed_len;
    return chip->commit(chip->ctx, ref, *ref_len);
}

static cert_status_t generate(void *ctx, cert_key_type_t type, uint8_t *ref, size_t *ref_len)
{
    const cert_key_ds_chip_t *chip = ctx;
    if (bits_of(type) == 0 || bits_of(type) > chip->max_bits) {
        return CERT_ERR_UNSUPPORTED;
    }
    cert_status_t status = chip->may_seal(chip->ctx);
    if (status != CERT_OK) {
        return status;
    }
    workshop_t *work = malloc(sizeof(*work));
    if (work == NULL) {
        return CERT_ERR_INTERNAL;
    }
    status = make_and_seal(chip, type, work, ref, ref_len);
    free(work);
    return status;
}

static cert_status_t recall(void *ctx, uint8_t *ref, size_t *ref_len)
{
    const cert_key_ds_chip_t *chip = ctx;
    return chip->recall(chip->ctx, ref, ref_len);
}

static cert_status_t public_key(void *ctx, const uint8_t *ref, size_t ref_len, uint8_t *spki, size_t *spki_len)
{
    (void)ctx;
    cert_key_ds_ref_t parts;
    cert_status_t status = cert_key_ds_parse(ref, ref_len, &parts);
    if (status == CERT_OK) {
        memcpy(spki, parts.spki, parts.spki_len);
        *spki_len = parts.spki_len;
    }
    return status;
}

/* EMSA-PKCS1-v1_5 (RFC 8017, 9.2) as words, least significant first: 00 01 FF … FF 00 DigestInfo */
static void pad(const uint8_t *hash, uint32_t *message, size_t words)
{
    uint8_t encoded[4 * CERT_RSA_WORDS_MAX];
    size_t len = 4 * words;
    uint8_t *info = encoded + len - sizeof(s_digest_info) - CERT_HASH_LEN;
    memset(encoded, 0xFF, len);
    encoded[0] = 0;
    encoded[1] = 1;
    info[-1] = 0;
    memcpy(info, s_digest_info, sizeof(s_digest_info));
    memcpy(info + sizeof(s_digest_info), hash, CERT_HASH_LEN);
    for (size_t i = 0; i < words; i++) {
        const uint8_t *at = encoded + len - 4 * (i + 1);
        message[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
}

static cert_status_t sign(void *ctx, const uint8_t *ref, size_t ref_len, const uint8_t *hash, uint8_t *signature,
                          size_t *signature_len)
{
    const cert_key_ds_chip_t *chip = ctx;
    cert_key_ds_ref_t parts;
    cert_status_t status = cert_key_ds_parse(ref, ref_len, &parts);
    if (status != CERT_OK) {
        return status;
    }
    uint32_t words[CERT_RSA_WORDS_MAX] = { 0 };
    uint32_t result[CERT_RSA_WORDS_MAX];
    size_t count = parts.bits / 32;
    pad(hash, words, count);
    status = chip->sign(chip->ctx, parts.sealed, parts.sealed_len, words, count, result);
    for (size_t i = 0; status == CERT_OK && i < count; i++) {
        uint8_t *at = signature + 4 * (count - 1 - i);
        at[0] = (uint8_t)(result[i] >> 24);
        at[1] = (uint8_t)(result[i] >> 16);
        at[2] = (uint8_t)(result[i] >> 8);
        at[3] = (uint8_t)result[i];
    }
    *signature_len = 4 * count;
    return status;
}

cert_key_backend_t cert_key_ds_backend(const cert_key_ds_chip_t *chip)
{
    return (cert_key_backend_t) {
        .kind = CERT_KEY_KIND_DS,
        .ctx = (void *)chip,
        .generate = generate,
        .recall = recall,
        .public_key = public_key,
        .sign = sign,
    };
}
