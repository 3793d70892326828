/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test_pki.h"
#include "testing.h"
#include "tls_client.h"

/** A client and a server that shake hands over a socket pair, in one thread. */
typedef struct {
    test_pki_t pki;
    char *client_pem;
    char *client_key_pem;
    cert_connect_t request;
    tls_client_t tls;
    SSL_CTX *server_ctx;
    SSL *client;
    SSL *server;
    int ends[2];
} tls_test_t;

/** The server's context: a certificate for `names` issued by `issuer`; asks for client certificates issued below our
 * root. */
static SSL_CTX *make_server(tls_test_t *test, const test_authority_t *issuer, const char *names)
{
    EVP_PKEY *key = pki_ec_key("P-256");
    test_leaf_t leaf = pki_good_leaf();
    leaf.client_auth = false;
    leaf.common_name = "broker";
    leaf.alternative_names = names;
    char *pem = pki_issue(issuer, key, &leaf);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    assert_int_equal(SSL_CTX_add1_chain_cert(ctx, issuer->certificate), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), test->pki.root.certificate);
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(ctx), (time_t)TEST_NOW);
    X509_free(certificate);
    BIO_free(bio);
    free(pem);
    EVP_PKEY_free(key);
    return ctx;
}

/** Our side: a certificate issued by `issuer`. */
static void make_identity(tls_test_t *test, const test_authority_t *issuer)
{
    EVP_PKEY *key = pki_ec_key("P-256");
    const test_leaf_t leaf = pki_good_leaf();
    free(test->client_pem);
    free(test->client_key_pem);
    char *pem = pki_issue(issuer, key, &leaf);
    test->client_pem = malloc(strlen(pem) + strlen(test->pki.chain_pem) + 1);
    strcpy(test->client_pem, pem);
    strcat(test->client_pem, test->pki.chain_pem);
    test->client_key_pem = pki_key_pem(key);
    test->request.chain_pem = test->client_pem;
    test->request.key = (const uint8_t *)test->client_key_pem;
    test->request.key_len = strlen(test->client_key_pem) + 1;
    free(pem);
    EVP_PKEY_free(key);
}

static int setup(void **state)
{
    tls_test_t *test = calloc(1, sizeof(*test));
    signal(SIGPIPE, SIG_IGN);
    pki_make(&test->pki);
    make_identity(test, &test->pki.issuing);
    test->request.anchors_pem = test->pki.anchors_pem;
    test->ends[0] = test->ends[1] = -1;
    *state = test;
    return 0;
}

static int teardown(void **state)
{
    tls_test_t *test = *state;
    SSL_free(test->client);
    SSL_free(test->server);
    SSL_CTX_free(test->server_ctx);
    tls_client_free(&test->tls);
    close(test->ends[0]);
    close(test->ends[1]);
    free(test->client_pem);
    free(test->client_key_pem);
    pki_free(&test->pki);
    free(test);
    return 0;
}

/** Bring both sides to the point where the handshake can begin. */
static void meet(tls_test_t *test, const char *host)
{
    const char *why;
    if (!tls_client_init(&test->tls, &test->request, host, &why)) {
        fail_msg("%s", why);
    }
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(test->tls.ctx), (time_t)TEST_NOW);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, test->ends), 0);
    test->client = SSL_new(test->tls.ctx);
    test->server = SSL_new(test->server_ctx);
    SSL_set_fd(test->client, test->ends[0]);
    SSL_set_fd(test->server, test->ends[1]);
}

/** Let both sides go on in turns until neither can. @return has the server accepted the client? */
static bool shake_hands(tls_test_t *test, const char *host)
{
    meet(test, host);
    int accepted = 0;
    for (int turns = 0; turns < 20; turns++) {
        char byte;
        if (!test->tls.handshake_done) {
            SSL_connect(test->client);
        } else {
            SSL_read(test->client, &byte, 1);
        }
        accepted = SSL_accept(test->server);
    }
    return accepted == 1;
}

static void test_a_server_of_our_pki_and_a_device_of_our_pki_meet(void **state)
{
    tls_test_t *test = *state;
    test->server_ctx = make_server(test, &test->pki.issuing, "DNS:broker.example,IP:192.0.2.7,IP:2001:db8::7");
    assert_true(shake_hands(test, "broker.example"));
    assert_true(test->tls.handshake_done);
    assert_true(test->tls.server_reached);
    assert_false(tls_client_identity_refused(&test->tls));
    assert_false(tls_client_server_untrusted(&test->tls));
    assert_string_equal(SSL_get_servername(test->server, TLSEXT_NAMETYPE_host_name), "broker.example");
}

static void test_an_address_is_verified_too_and_not_sent_as_a_name(void **state)
{
    tls_test_t *test = *state;
    test->server_ctx = make_server(test, &test->pki.issuing, "DNS:broker.example,IP:192.0.2.7");
    assert_true(shake_hands(test, "192.0.2.7"));
    assert_null(SSL_get_servername(test->server, TLSEXT_NAMETYPE_host_name));
}

static void test_a_server_of_another_name_is_not_trusted(void **state)
{
    tls_test_t *test = *state;
    test->server_ctx = make_server(test, &test->pki.issuing, "DNS:broker.example,DNS:*.wild.example,IP:192.0.2.7");
    static const char *const hosts[] = {"other.example", "192.0.2.8", "2001:db8::7", "broker", "a.b.wild.example"};
    for (size_t i = 0; i < COUNT(hosts); i++) {
        assert_false(shake_hands(test, hosts[i]));
        assert_true(tls_client_server_untrusted(&test->tls));
        assert_false(tls_client_identity_refused(&test->tls));
        SSL_free(test->client);
        SSL_free(test->server);
        tls_client_free(&test->tls);
        close(test->ends[0]);
        close(test->ends[1]);
    }
    test->client = NULL;
    test->server = NULL;
    test->ends[0] = test->ends[1] = -1;
}

static void test_a_server_without_names_is_not_trusted_for_its_common_name(void **state)
{
    tls_test_t *test = *state;
    test->server_ctx = make_server(test, &test->pki.issuing, "DNS:elsewhere.example");
    assert_false(shake_hands(test, "broker")); /* its common name */
    assert_true(tls_client_server_untrusted(&test->tls));
}

static void test_a_server_of_a_foreign_pki_is_not_trusted(void **state)
{
    tls_test_t *test = *state;
    test->server_ctx = make_server(test, &test->pki.foreign_root, "DNS:broker.example");
    assert_false(shake_hands(test, "broker.example"));
    assert_true(tls_client_server_untrusted(&test->tls));
}

static void test_a_device_certificate_is_no_server_certificate(void **state)
{
    tls_test_t *test = *state;
    test->server_ctx = make_server(test, &test->pki.issuing, "DNS:broker.example");
    SSL_CTX *thief = test->server_ctx;
    EVP_PKEY *key = pki_ec_key("P-256");
    test_leaf_t leaf = pki_good_leaf();
    leaf.alternative_names = "DNS:broker.example";
    char *pem = pki_issue(&test->pki.issuing, key, &leaf);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    SSL_CTX_use_certificate(thief, certificate);
    SSL_CTX_use_PrivateKey(thief, key);
    assert_false(shake_hands(test, "broker.example"));
    assert_true(tls_client_server_untrusted(&test->tls));
    X509_free(certificate);
    BIO_free(bio);
    free(pem);
    EVP_PKEY_free(key);
}

static void test_a_refused_device_learns_that_it_is_its_certificate(void **state)
{
    tls_test_t *test = *state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    make_identity(test, &test->pki.foreign_root);
    for (size_t i = 0; i < COUNT(versions); i++) {
        test->server_ctx = make_server(test, &test->pki.issuing, "DNS:broker.example");
        SSL_CTX_set_max_proto_version(test->server_ctx, versions[i]);
        assert_false(shake_hands(test, "broker.example"));
        assert_true(tls_client_identity_refused(&test->tls));
        assert_false(tls_client_server_untrusted(&test->tls));
        assert_int_equal(teardown(state), 0);
        setup(state);
        test = *state;
        make_identity(test, &test->pki.foreign_root);
    }
}

static void test_a_refusal_is_read_even_if_the_server_closes_while_the_device_writes(void **state)
{
    tls_test_t *test = *state;
    char byte = 0;
    make_identity(test, &test->pki.foreign_root);
    test->server_ctx = make_server(test, &test->pki.issuing, "DNS:broker.example");
    meet(test, "broker.example");
    SSL_connect(test->client);
    SSL_accept(test->server);
    assert_int_equal(SSL_connect(test->client), 1); /* TLS 1.3: done as far as we know */
    SSL_accept(test->server);                       /* refuses, and sends its alert */
    close(test->ends[1]);
    assert_int_equal(SSL_write(test->client, &byte, 1), 1); /* into the void, and that is no error yet */
    assert_false(tls_client_identity_refused(&test->tls));
    assert_true(SSL_read(test->client, &byte, 1) <= 0);
    assert_true(tls_client_identity_refused(&test->tls));
    test->ends[1] = -1;
}

static void test_only_alerts_about_our_certificate_are_held_against_it(void **state)
{
    (void)state;
    static const int about[] = {42, 43, 44, 45, 46, 48, 49, 51, 116};
    static const int not_about[] = {-1, 10, 20, 22, 40, 47, 50, 70, 71, 80, 86, 90, 109, 112, 120};
    for (size_t i = 0; i < COUNT(about); i++) {
        assert_true(tls_client_identity_refused(&(tls_client_t){.alert = about[i], .identity_shown = true}));
        assert_false(
            tls_client_identity_refused(&(tls_client_t){.alert = about[i]})); /* said before it could be seen */
    }
    for (size_t i = 0; i < COUNT(not_about); i++) {
        assert_false(tls_client_identity_refused(&(tls_client_t){.alert = not_about[i], .identity_shown = true}));
    }
}

static void test_tls_before_1_2_is_not_spoken(void **state)
{
    tls_test_t *test = *state;
    test->server_ctx = make_server(test, &test->pki.issuing, "DNS:broker.example");
    SSL_CTX_set_security_level(test->server_ctx, 0);
    SSL_CTX_set_max_proto_version(test->server_ctx, TLS1_1_VERSION);
    assert_false(shake_hands(test, "broker.example"));
    assert_false(tls_client_identity_refused(&test->tls));
}

static void test_what_the_handshake_waits_for(void **state)
{
    tls_test_t *test = *state;
    test->server_ctx = make_server(test, &test->pki.issuing, "DNS:broker.example");
    meet(test, "broker.example");
    SSL_connect(test->client);
    assert_int_equal(tls_client_handshake_events(test->client), POLLIN);
    close(test->ends[1]);
    test->ends[1] = -1;
    SSL_connect(test->client);
    assert_int_equal(tls_client_handshake_events(test->client), 0);
}

static void test_keys_come_as_pem_or_der(void **state)
{
    tls_test_t *test = *state;
    const char *why;
    BIO *bio = BIO_new_mem_buf(test->client_key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    uint8_t der[512];
    test->request.key_len = pki_key_der(key, der, sizeof(der));
    test->request.key = der;
    assert_true(tls_client_init(&test->tls, &test->request, "broker.example", &why));
    EVP_PKEY_free(key);
    BIO_free(bio);
}

static void test_what_cannot_be_used_is_named(void **state)
{
    tls_test_t *test = *state;
    const cert_connect_t good = test->request;
    const char *why;
    EVP_PKEY *other = pki_ec_key("P-256");
    char *other_pem = pki_key_pem(other);

    test->request.anchors_pem = "";
    assert_false(tls_client_init(&test->tls, &test->request, "h", &why));
    assert_non_null(strstr(why, "anchors"));
    test->request = good;
    test->request.chain_pem = "-----BEGIN CERTIFICATE-----\n";
    assert_false(tls_client_init(&test->tls, &test->request, "h", &why));
    assert_non_null(strstr(why, "chain"));
    test->request = good;
    test->request.key_len = 5;
    assert_false(tls_client_init(&test->tls, &test->request, "h", &why));
    assert_non_null(strstr(why, "key"));
    test->request = good;
    test->request.key = (const uint8_t *)other_pem;
    assert_false(tls_client_init(&test->tls, &test->request, "h", &why));
    assert_non_null(strstr(why, "key"));
    test->request = good;
    test->request.key_kind = (cert_key_kind_t)9;
    assert_false(tls_client_init(&test->tls, &test->request, "h", &why));
    free(other_pem);
    EVP_PKEY_free(other);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_server_of_our_pki_and_a_device_of_our_pki_meet),
        TEST(test_an_address_is_verified_too_and_not_sent_as_a_name),
        TEST(test_a_server_of_another_name_is_not_trusted),
        TEST(test_a_server_without_names_is_not_trusted_for_its_common_name),
        TEST(test_a_server_of_a_foreign_pki_is_not_trusted),
        TEST(test_a_device_certificate_is_no_server_certificate),
        TEST(test_a_refused_device_learns_that_it_is_its_certificate),
        TEST(test_a_refusal_is_read_even_if_the_server_closes_while_the_device_writes),
        TEST(test_only_alerts_about_our_certificate_are_held_against_it),
        TEST(test_tls_before_1_2_is_not_spoken),
        TEST(test_what_the_handshake_waits_for),
        TEST(test_keys_come_as_pem_or_der),
        TEST(test_what_cannot_be_used_is_named),
    };
    return RUN_TESTS(tests);
}
