/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "failure.h"

#include <stdio.h>

#include "esp_tls_errors.h"
#include "mbedtls/ssl.h"
#include "mbedtls/x509.h"

static cert_failure_t classify_connack(esp_mqtt_connect_return_code_t code)
{
    switch (code) {
    case MQTT_CONNECTION_REFUSE_ID_REJECTED:
    case MQTT_CONNECTION_REFUSE_BAD_USERNAME:
    case MQTT_CONNECTION_REFUSE_NOT_AUTHORIZED:
        return CERT_FAILURE_IDENTITY_REFUSED;
    case MQTT_CONNECTION_REFUSE_SERVER_UNAVAILABLE:
        return CERT_FAILURE_NETWORK;
    default:
        return CERT_FAILURE_UNKNOWN;
    }
}

static cert_failure_t classify_handshake(int mbedtls_error)
{
    switch (mbedtls_error) {
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
        return CERT_FAILURE_SERVER_UNTRUSTED;
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        /* esp-tls does not tell which alert. With a server that this firmware has a cipher in common with, what is left
         * for it to object to is our certificate. Nobody vouches for an alert of TLS 1.2, so somebody on the way can
         * forge it: docs/threat-model.md tells what that costs. */
        return CERT_FAILURE_IDENTITY_REFUSED;
    default:
        return CERT_FAILURE_UNKNOWN;
    }
}

static cert_failure_t classify_transport(const esp_mqtt_error_codes_t *error)
{
    int mbedtls_error = -error->esp_tls_stack_err; /* esp-tls turns the sign */
    switch (error->esp_tls_last_esp_err) {
    case ESP_ERR_ESP_TLS_CANNOT_RESOLVE_HOSTNAME:
    case ESP_ERR_ESP_TLS_CANNOT_CREATE_SOCKET:
    case ESP_ERR_ESP_TLS_UNSUPPORTED_PROTOCOL_FAMILY:
    case ESP_ERR_ESP_TLS_FAILED_CONNECT_TO_HOST:
    case ESP_ERR_ESP_TLS_SOCKET_SETOPT_FAILED:
    case ESP_ERR_ESP_TLS_CONNECTION_TIMEOUT:
    case ESP_ERR_ESP_TLS_SERVER_HANDSHAKE_TIMEOUT:
        return CERT_FAILURE_NETWORK;
    default:
        /* With TLS 1.3 the alert comes after the handshake, as a failed read. That our own certificate or key cannot be
         * used is mostly a lack of memory: nobody has refused it. */
        return classify_handshake(mbedtls_error);
    }
}

cert_failure_t failure_classify(const esp_mqtt_error_codes_t *error, bool was_up, char *detail, size_t cap)
{
    if (error->error_type == MQTT_ERROR_TYPE_CONNECTION_REFUSED) {
        snprintf(detail, cap, "CONNACK: return code %d", error->connect_return_code);
        return classify_connack(error->connect_return_code);
    }
    if (error->error_type != MQTT_ERROR_TYPE_TCP_TRANSPORT) {
        snprintf(detail, cap, "%s", was_up ? "the connection broke" : "no CONNACK");
        return was_up ? CERT_FAILURE_NETWORK : CERT_FAILURE_UNKNOWN;
    }
    snprintf(detail, cap, "esp-tls 0x%x, mbedtls -0x%x, errno %d", (unsigned)error->esp_tls_last_esp_err,
             (unsigned)error->esp_tls_stack_err, error->esp_transport_sock_errno);
    return was_up ? CERT_FAILURE_NETWORK : classify_transport(error);
}
