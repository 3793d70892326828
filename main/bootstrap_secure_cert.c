/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* The bootstrap identity from the partition `esp_secure_cert`, which the factory wrote. */
#include "bootstrap_identity.h"
#include "esp_check.h"
#include "sdkconfig.h"

#if !__has_include("esp_secure_cert_read.h")
#error "Espressif's component is missing: idf.py add-dependency 'espressif/esp_secure_cert_mgr^2.9'"
#endif
#include "esp_secure_cert_read.h"

#if CONFIG_ESP_SECURE_CERT_DS_PERIPHERAL
#error "a bootstrap key is one that can be read: switch ESP_SECURE_CERT_DS_PERIPHERAL off"
#endif

static const char *TAG = "main";

/* PEM in the partition ends with a NUL, which its length counts. */
static bool is_pem(const char *text, uint32_t len)
{
    return len > 1 && text[len - 1] == '\0' && text[0] == '-';
}

/* What is read stays in memory for good, as the agent wants it. */
esp_err_t bootstrap_identity_load(cert_port_esp_bootstrap_t *identity)
{
    char *certificate;
    char *key;
    char *anchors;
    uint32_t certificate_len;
    uint32_t key_len;
    uint32_t anchors_len;
    ESP_RETURN_ON_ERROR(esp_secure_cert_get_device_cert(&certificate, &certificate_len), TAG,
                        "no certificate in the partition esp_secure_cert");
    ESP_RETURN_ON_ERROR(esp_secure_cert_get_priv_key(&key, &key_len), TAG,
                        "no private key in the partition esp_secure_cert");
    ESP_RETURN_ON_ERROR(esp_secure_cert_get_ca_cert(&anchors, &anchors_len), TAG,
                        "no CA certificate (the trust anchors) in the partition esp_secure_cert");
    ESP_RETURN_ON_FALSE(is_pem(certificate, certificate_len) && is_pem(anchors, anchors_len), ESP_ERR_INVALID_ARG, TAG,
                        "the certificates in the partition esp_secure_cert have to be PEM");
    *identity = (cert_port_esp_bootstrap_t) {
        .chain_pem = certificate,
        .key = (const uint8_t *)key,
        .key_len = key_len,
        .anchors_pem = anchors,
    };
    return ESP_OK;
}
