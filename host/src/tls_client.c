/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/** Alerts that speak of the certificate we presented (RFC 8446 section 6.2). */
static bool is_about_our_certificate(int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_DECRYPT_ERROR:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

static tls_client_t *client_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/**
 * Sees what passes between OpenSSL and the socket.
 *
 * A TLS 1.3 server refuses our certificate after our side of the handshake is done, and closes. We may be writing at
 * that moment, which then fails, and the alert that says why would never be read. So a write to a connection closed by
 * the server is reported as done: the next read finds the alert, and after it the end of the connection.
 */
static long on_socket(BIO *bio, int operation, const char *data, size_t len, int argi, long argl, int ret, size_t *done)
{
    (void)data;
    (void)argi;
    (void)argl;
    tls_client_t *tls = (tls_client_t *)BIO_get_callback_arg(bio);
    if (operation == (BIO_CB_READ | BIO_CB_RETURN) && (ret > 0 || !BIO_should_retry(bio))) {
        tls->server_reached = true;
    } else if (operation == (BIO_CB_WRITE | BIO_CB_RETURN) && ret <= 0 && (errno == EPIPE || errno == ECONNRESET)) {
        tls->server_reached = true;
        *done = len;
        return 1;
    }
    return ret;
}

static void begin_handshake(tls_client_t *tls, SSL *ssl)
{
    /* libmosquitto sets the name it dials, which is a numeric address here (mqtt_client.c). */
    const char *name = tls->server_name[0] != '\0' ? tls->server_name : NULL;
    SSL_set_tlsext_host_name(ssl, name);
    BIO_set_callback_ex(SSL_get_rbio(ssl), on_socket);
    BIO_set_callback_arg(SSL_get_rbio(ssl), (char *)tls);
}

/** OpenSSL reports progress and alerts here, during and after the handshake. */
static void on_info(const SSL *ssl, int where, int ret)
{
    tls_client_t *tls = client_of(ssl);
    if (where == SSL_CB_HANDSHAKE_START && !tls->handshake_done) {
        begin_handshake(tls, (SSL *)ssl);
    } else if (where == SSL_CB_HANDSHAKE_DONE) {
        tls->handshake_done = true;
    } else if (where == SSL_CB_READ_ALERT && (ret & 0xff) != SSL_AD_CLOSE_NOTIFY && tls->alert < 0) {
        tls->alert = ret & 0xff;
    }
}

/** Sees every handshake message, in plain text. */
static void on_message(int is_ours, int version, int content_type, const void *message, size_t len, SSL *ssl, void *arg)
{
    (void)version;
    (void)arg;
    if (is_ours && content_type == SSL3_RT_HANDSHAKE && len > 0 &&
        *(const unsigned char *)message == SSL3_MT_CERTIFICATE) {
        client_of(ssl)->identity_shown = true;
    }
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (!ok) {
        client_of(ssl)->verify_error = X509_STORE_CTX_get_error(store);
    }
    return ok;
}

/** Never ask for a passphrase. */
static int no_passphrase(char *buf, int size, int for_writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)for_writing;
    (void)ctx;
    return -1;
}

static bool use_chain(SSL_CTX *ctx, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    bool ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1;
    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        ok = SSL_CTX_add1_chain_cert(ctx, cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    return ok;
}

static EVP_PKEY *read_key(const uint8_t *key, size_t len)
{
    if (len > 0 && key[len - 1] == '\0') {
        BIO *bio = BIO_new_mem_buf(key, -1);
        EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        BIO_free(bio);
        if (pkey != NULL) {
            return pkey;
        }
    }
    return d2i_AutoPrivateKey(NULL, &key, (long)len);
}

static bool use_key(SSL_CTX *ctx, const cert_connect_t *request)
{
    EVP_PKEY *pkey = request->key_kind == CERT_KEY_KIND_SOFTWARE ? read_key(request->key, request->key_len) : NULL;
    bool ok = pkey != NULL && SSL_CTX_use_PrivateKey(ctx, pkey) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(pkey);
    return ok;
}

static bool use_anchors(SSL_CTX *ctx, const char *pem)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    int count = 0;
    bool ok = true;
    X509 *cert;
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        ok = X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
        count++;
    }
    BIO_free(bio);
    return ok && count > 0;
}

/** The server's certificate must name the host we were told to connect to. */
static bool expect_host(tls_client_t *tls, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls->ctx);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    struct in6_addr address;
    if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1) {
        tls->server_name[0] = '\0';
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    }
    snprintf(tls->server_name, sizeof(tls->server_name), "%s", host);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

bool tls_client_init(tls_client_t *tls, const cert_connect_t *request, const char *host, const char **why)
{
    memset(tls, 0, sizeof(*tls));
    tls->alert = -1;
    tls->verify_error = X509_V_OK;
    tls->ctx = SSL_CTX_new(TLS_client_method());
    *why = NULL;
    if (tls->ctx == NULL || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1) {
        *why = "OpenSSL does not start";
    } else if (!use_anchors(tls->ctx, request->anchors_pem)) {
        *why = "the trust anchors are not PEM certificates";
    } else if (!use_chain(tls->ctx, request->chain_pem)) {
        *why = "the certificate chain is not PEM, or its key is too weak for TLS";
    } else if (!use_key(tls->ctx, request)) {
        *why = "the private key cannot be read, or does not belong to the certificate";
    } else if (!expect_host(tls, host)) {
        *why = "the broker's host name cannot be verified";
    }
    ERR_clear_error();
    if (*why != NULL) {
        tls_client_free(tls);
        return false;
    }
    SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_info_callback(tls->ctx, on_info);
    SSL_CTX_set_msg_callback(tls->ctx, on_message);
    SSL_CTX_set_app_data(tls->ctx, tls);
    return true;
}

void tls_client_free(tls_client_t *tls)
{
    SSL_CTX_free(tls->ctx);
    tls->ctx = NULL;
}

/* An alert before our certificate was sent is not about it, and anybody on the way can forge it. */
bool tls_client_identity_refused(const tls_client_t *tls)
{
    return tls->identity_shown && is_about_our_certificate(tls->alert);
}

bool tls_client_server_untrusted(const tls_client_t *tls)
{
    return tls->verify_error != X509_V_OK;
}

short tls_client_handshake_events(const SSL *ssl)
{
    switch (SSL_get_error(ssl, -1)) {
    case SSL_ERROR_WANT_READ:
        return POLLIN;
    case SSL_ERROR_WANT_WRITE:
        return POLLOUT;
    default:
        return 0;
    }
}
