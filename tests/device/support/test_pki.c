/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test_pki.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "testing.h"

/** The content of a memory BIO as text of its own; frees the BIO. */
static char *take_text(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = calloc(1, (size_t)len + 1);
    assert_non_null(text);
    memcpy(text, data, (size_t)len);
    BIO_free(bio);
    return text;
}

static char *certificate_pem(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    return take_text(bio);
}

static X509 *read_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

EVP_PKEY *pki_ec_key(const char *curve)
{
    EVP_PKEY *key = EVP_EC_gen(curve);
    assert_non_null(key);
    return key;
}

EVP_PKEY *pki_rsa_key(unsigned bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);
    assert_non_null(key);
    return key;
}

char *pki_key_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    return take_text(bio);
}

size_t pki_key_der(EVP_PKEY *key, uint8_t *out, size_t cap)
{
    int len = i2d_PrivateKey(key, NULL);
    assert_true(len > 0 && (size_t)len <= cap);
    assert_int_equal(i2d_PrivateKey(key, &out), len);
    return (size_t)len;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void add_name(X509_NAME *name, const char *common_name)
{
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0), 1);
}

/** A certificate with all but its extensions and signature. */
static X509 *begin_certificate(EVP_PKEY *key, const char *common_name, int64_t not_before, int64_t not_after)
{
    static long serial = 1000;
    X509 *certificate = X509_new();
    assert_non_null(certificate);
    assert_int_equal(X509_set_version(certificate, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)not_before));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)not_after));
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    add_name(X509_get_subject_name(certificate), common_name);
    return certificate;
}

static void sign(X509 *certificate, X509 *issuer, EVP_PKEY *issuer_key)
{
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)), 1);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
}

/** @param parent  NULL: self-signed */
static test_authority_t make_authority(const char *name, const test_authority_t *parent, int64_t not_before,
                                       int64_t not_after)
{
    test_authority_t authority = {.key = pki_ec_key("P-256")};
    authority.certificate = begin_certificate(authority.key, name, not_before, not_after);
    add_extension(authority.certificate, authority.certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(authority.certificate, authority.certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    const test_authority_t *issuer = parent != NULL ? parent : &authority;
    sign(authority.certificate, issuer->certificate, issuer->key);
    return authority;
}

static void free_authority(test_authority_t *authority)
{
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
}

void pki_make(test_pki_t *pki)
{
    const int64_t begin = TEST_NOW - 400 * TEST_DAY;
    const int64_t end = TEST_NOW + 4000 * TEST_DAY;
    pki->root = make_authority("Test root", NULL, begin, end);
    pki->issuing = make_authority("Test issuing CA", &pki->root, begin, end);
    pki->expired_issuing = make_authority("Test issuing CA of last year", &pki->root, begin, TEST_NOW - TEST_DAY);
    pki->bootstrap = make_authority("Test bootstrap CA", NULL, begin, end);
    pki->foreign_root = make_authority("Test root", NULL, begin, end);
    pki->anchors_pem = certificate_pem(pki->root.certificate);
    pki->chain_pem = certificate_pem(pki->issuing.certificate);
    EVP_PKEY *key = pki_ec_key("P-256");
    test_leaf_t leaf = pki_good_leaf();
    leaf.common_name = "bootstrap-1";
    pki->bootstrap_pem = pki_issue(&pki->bootstrap, key, &leaf);
    pki->bootstrap_key_pem = pki_key_pem(key);
    EVP_PKEY_free(key);
}

void pki_free(test_pki_t *pki)
{
    free_authority(&pki->root);
    free_authority(&pki->issuing);
    free_authority(&pki->expired_issuing);
    free_authority(&pki->bootstrap);
    free_authority(&pki->foreign_root);
    free(pki->anchors_pem);
    free(pki->chain_pem);
    free(pki->bootstrap_pem);
    free(pki->bootstrap_key_pem);
}

test_leaf_t pki_good_leaf(void)
{
    return (test_leaf_t){
        .common_name = TEST_DEVICE,
        .not_before = TEST_NOW - 3600,
        .not_after = TEST_NOW + 365 * TEST_DAY,
        .client_auth = true,
    };
}

char *pki_issue(const test_authority_t *issuer, EVP_PKEY *subject_key, const test_leaf_t *leaf)
{
    X509 *certificate = begin_certificate(subject_key, leaf->common_name, leaf->not_before, leaf->not_after);
    if (leaf->second_common_name != NULL) {
        add_name(X509_get_subject_name(certificate), leaf->second_common_name);
    }
    add_extension(certificate, issuer->certificate, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(certificate, issuer->certificate, NID_key_usage, "critical,digitalSignature");
    if (!leaf->no_extended_key_usage) {
        add_extension(certificate, issuer->certificate, NID_ext_key_usage,
                      leaf->client_auth ? "clientAuth" : "serverAuth");
    }
    if (leaf->alternative_names != NULL) {
        add_extension(certificate, issuer->certificate, NID_subject_alt_name, leaf->alternative_names);
    }
    sign(certificate, issuer->certificate, issuer->key);
    char *pem = certificate_pem(certificate);
    X509_free(certificate);
    return pem;
}

void pki_certificate_id(const char *pem, char *id)
{
    X509 *certificate = read_certificate(pem);
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    assert_int_equal(X509_digest(certificate, EVP_sha256(), hash, &len), 1);
    for (unsigned i = 0; i < len; i++) {
        snprintf(id + 2 * i, 3, "%02x", hash[i]);
    }
    X509_free(certificate);
}

char *pki_authority_pem(const test_authority_t *authority)
{
    return certificate_pem(authority->certificate);
}

char *pki_sign_text(const test_authority_t *authority, const char *text)
{
    unsigned char signature[512];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, authority->key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    char *base64 = calloc(1, 2 * sizeof(signature));
    assert_non_null(base64);
    EVP_EncodeBlock((unsigned char *)base64, signature, (int)len);
    return base64;
}

EVP_PKEY *pki_csr_key(const char *csr_pem, char *common_name)
{
    BIO *bio = BIO_new_mem_buf(csr_pem, -1);
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(request);
    EVP_PKEY *key = X509_REQ_get_pubkey(request);
    assert_non_null(key);
    assert_int_equal(X509_REQ_verify(request, key), 1);
    if (common_name != NULL) {
        X509_NAME *subject = X509_REQ_get_subject_name(request);
        assert_int_equal(X509_NAME_entry_count(subject), 1);
        assert_true(X509_NAME_get_text_by_NID(subject, NID_commonName, common_name, 65) > 0);
    }
    X509_REQ_free(request);
    return key;
}

bool pki_key_belongs(const uint8_t *key, size_t key_len, const char *certificate_pem_text)
{
    EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &key, (long)key_len);
    X509 *certificate = read_certificate(certificate_pem_text);
    bool belongs = pkey != NULL && X509_check_private_key(certificate, pkey) == 1;
    X509_free(certificate);
    EVP_PKEY_free(pkey);
    return belongs;
}
