/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The TLS side of one connection: an OpenSSL context made from memory, and what went wrong, in terms of
 * identities.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "cert_mgmt/cert_port.h"
#include "cert_mgmt/cert_settings.h"

/** @brief TLS of one connection. It must stay where it is while its SSL_CTX is in use. */
typedef struct {
    SSL_CTX *ctx;
    char server_name[CERT_HOST_MAX + 1]; /*!< For SNI; "" when the server is known by its address */
    int alert;                           /*!< First fatal alert the server sent; -1: none */
    int verify_error;                    /*!< X509_V_OK, or why we did not accept the server's certificate */
    bool server_reached;                 /*!< Something has answered, if only by closing the connection */
    bool identity_shown;                 /*!< Our certificate went out: the server's own had been verified by then */
    bool handshake_done;
} tls_client_t;

/**
 * @brief Make the context: TLS 1.2 or later, our certificate and key, the server verified against the anchors and
 * `host`.
 * @param host  Host name or numeric address, as configured: the server's certificate must name it.
 * @param[out] why  A string constant that says what cannot be used, if false is returned.
 */
bool tls_client_init(tls_client_t *tls, const cert_connect_t *request, const char *host, const char **why);

/** @brief Release the context; its key is wiped with the last reference. */
void tls_client_free(tls_client_t *tls);

/** @brief Did the server say that it does not accept our certificate? */
bool tls_client_identity_refused(const tls_client_t *tls);

/** @brief Did we not accept the server's certificate? */
bool tls_client_server_untrusted(const tls_client_t *tls);

/** @brief What the handshake waits for: POLLIN or POLLOUT; 0 if it has failed. */
short tls_client_handshake_events(const SSL *ssl);
