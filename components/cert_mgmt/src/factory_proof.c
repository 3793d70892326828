/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "factory_proof.h"

#include <mbedtls/base64.h>
#include <mbedtls/platform_util.h>
#include <psa/crypto.h>
#include <string.h>

#define SECRET_KEY "factory_secret"
#define SECRET_LEN 32
#define MAC_LEN 32

static cert_status_t hmac(psa_key_id_t key, const char *const *parts, size_t count, uint8_t *mac)
{
    psa_mac_operation_t operation = PSA_MAC_OPERATION_INIT;
    bool good = psa_mac_sign_setup(&operation, key, PSA_ALG_HMAC(PSA_ALG_SHA_256)) == PSA_SUCCESS;
    for (size_t i = 0; good && i < count; i++) {
        good = psa_mac_update(&operation, (const uint8_t *)parts[i], strlen(parts[i])) == PSA_SUCCESS;
    }
    size_t len;
    good = good && psa_mac_sign_finish(&operation, mac, MAC_LEN, &len) == PSA_SUCCESS;
    (void)psa_mac_abort(&operation);
    return good ? CERT_OK : CERT_ERR_INTERNAL;
}

static cert_status_t prove(const uint8_t *secret, const char *const *parts, size_t count, uint8_t *mac)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_HMAC);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_MESSAGE);
    psa_set_key_algorithm(&attributes, PSA_ALG_HMAC(PSA_ALG_SHA_256));
    psa_key_id_t key;
    if (psa_import_key(&attributes, secret, SECRET_LEN, &key) != PSA_SUCCESS) {
        return CERT_ERR_INTERNAL;
    }
    cert_status_t status = hmac(key, parts, count, mac);
    return psa_destroy_key(key) == PSA_SUCCESS ? status : CERT_ERR_INTERNAL;
}

cert_status_t factory_proof_make(const cert_port_t *port, const char *device_id, const char *csr_pem, char *mac)
{
    uint8_t secret[SECRET_LEN];
    size_t len;
    cert_status_t status = port->kv_read(port->ctx, SECRET_KEY, secret, sizeof(secret), &len);
    if (status == CERT_ERR_TOO_LARGE || (status == CERT_OK && len != SECRET_LEN)) {
        status = CERT_ERR_CORRUPT;
    }
    uint8_t raw[MAC_LEN];
    if (status == CERT_OK) {
        const char *parts[] = { "fleetpki-enroll\n", device_id, "\n", csr_pem };
        status = prove(secret, parts, sizeof(parts) / sizeof(parts[0]), raw);
    }
    mbedtls_platform_zeroize(secret, sizeof(secret));
    if (status == CERT_OK &&
            mbedtls_base64_encode((unsigned char *)mac, FACTORY_PROOF_SIZE, &len, raw, sizeof(raw)) != 0) {
        status = CERT_ERR_INTERNAL;
    }
    return status;
}
