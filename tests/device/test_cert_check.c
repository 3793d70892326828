/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/pem.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "cert_check.h"
#include "key_backend.h"
#include "test_pki.h"
#include "testing.h"

typedef struct {
    test_pki_t pki;
    EVP_PKEY *key;
    cert_check_rules_t rules;
    cert_identity_t candidate;
    cert_summary_t summary;
    const char *why;
} check_test_t;

static int setup(void **state)
{
    check_test_t *test = calloc(1, sizeof(*test));
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    pki_make(&test->pki);
    test->key = pki_ec_key("P-256");
    test->rules = (cert_check_rules_t){
        .device_id = TEST_DEVICE, .anchors_pem = test->pki.anchors_pem, .now = TEST_NOW, .now_is_known = true};
    *state = test;
    return 0;
}

static int teardown(void **state)
{
    check_test_t *test = *state;
    EVP_PKEY_free(test->key);
    pki_free(&test->pki);
    free(test);
    return 0;
}

/** Make the candidate of a leaf by `issuer` for `key`, followed by `chain`; its private key is the test's own. */
static void make_candidate(check_test_t *test, const test_authority_t *issuer, EVP_PKEY *key, const test_leaf_t *leaf,
                           const char *chain)
{
    char *pem = pki_issue(issuer, key, leaf);
    cert_identity_t *candidate = &test->candidate;
    memset(candidate, 0, sizeof(*candidate));
    int len = snprintf(candidate->chain_pem, sizeof(candidate->chain_pem), "%s%s", pem, chain);
    assert_true(len > 0 && (size_t)len < sizeof(candidate->chain_pem));
    candidate->chain_len = (size_t)len;
    candidate->key_len = pki_key_der(test->key, candidate->key, sizeof(candidate->key));
    free(pem);
}

static cert_status_t check(check_test_t *test)
{
    test->why = NULL;
    cert_status_t status = cert_check_candidate(&test->rules, &test->candidate, &test->summary, &test->why);
    assert_int_equal(test->why == NULL, status == CERT_OK);
    return status;
}

static cert_status_t check_leaf(check_test_t *test, const test_leaf_t *leaf)
{
    make_candidate(test, &test->pki.issuing, test->key, leaf, test->pki.chain_pem);
    return check(test);
}

static void test_what_the_cloud_issues_is_accepted(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    char id[CERT_ID_LEN + 1];
    assert_int_equal(check_leaf(test, &leaf), CERT_OK);
    pki_certificate_id(test->candidate.chain_pem, id);
    assert_string_equal(test->summary.id, id);
    assert_int_equal(test->summary.not_before, leaf.not_before);
    assert_int_equal(test->summary.not_after, leaf.not_after);
}

static void test_a_leaf_directly_below_the_root_is_accepted(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    make_candidate(test, &test->pki.root, test->key, &leaf, "");
    assert_int_equal(check(test), CERT_OK);
}

static void test_what_is_not_a_chain_in_pem_is_bad_message(void **state)
{
    check_test_t *test = *state;
    static const char *const texts[] = {
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        strcpy(test->candidate.chain_pem, texts[i]);
        test->candidate.chain_len = strlen(texts[i]);
        assert_int_equal(check(test), CERT_ERR_BAD_MESSAGE);
    }
}

static void test_a_broken_certificate_further_up_is_bad_message(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    make_candidate(test, &test->pki.issuing, test->key, &leaf,
                   "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_int_equal(check(test), CERT_ERR_BAD_MESSAGE);
}

static void test_a_name_that_is_not_exactly_this_device_is_wrong_subject(void **state)
{
    check_test_t *test = *state;
    static const char *const names[] = {"pump-0043", "pump-004", "pump-00421", "PUMP-0042", "bootstrap-1"};
    for (size_t i = 0; i < COUNT(names); i++) {
        test_leaf_t leaf = pki_good_leaf();
        leaf.common_name = names[i];
        assert_int_equal(check_leaf(test, &leaf), CERT_ERR_WRONG_SUBJECT);
    }
}

static void test_two_names_are_wrong_subject_whatever_their_order(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    leaf.second_common_name = "pump-0043";
    assert_int_equal(check_leaf(test, &leaf), CERT_ERR_WRONG_SUBJECT);
    leaf.common_name = "pump-0043";
    leaf.second_common_name = TEST_DEVICE;
    assert_int_equal(check_leaf(test, &leaf), CERT_ERR_WRONG_SUBJECT);
    leaf.common_name = TEST_DEVICE;
    assert_int_equal(check_leaf(test, &leaf), CERT_ERR_WRONG_SUBJECT);
}

static void test_a_weak_key_is_refused(void **state)
{
    check_test_t *test = *state;
    EVP_PKEY *const weak[] = {pki_rsa_key(1024), pki_ec_key("secp256k1")};
    for (size_t i = 0; i < COUNT(weak); i++) {
        test_leaf_t leaf = pki_good_leaf();
        make_candidate(test, &test->pki.issuing, weak[i], &leaf, test->pki.chain_pem);
        assert_int_equal(check(test), CERT_ERR_WEAK_KEY);
        EVP_PKEY_free(weak[i]);
    }
}

static void test_strong_keys_of_other_types_are_accepted(void **state)
{
    check_test_t *test = *state;
    EVP_PKEY *const strong[] = {pki_rsa_key(2048), pki_ec_key("P-384")};
    for (size_t i = 0; i < COUNT(strong); i++) {
        EVP_PKEY_free(test->key);
        test->key = strong[i];
        test_leaf_t leaf = pki_good_leaf();
        assert_int_equal(check_leaf(test, &leaf), CERT_OK);
    }
}

static void test_a_foreign_ca_is_untrusted_even_under_the_name_of_ours(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    make_candidate(test, &test->pki.foreign_root, test->key, &leaf, "");
    assert_int_equal(check(test), CERT_ERR_UNTRUSTED);
    make_candidate(test, &test->pki.foreign_root, test->key, &leaf, test->pki.chain_pem);
    assert_int_equal(check(test), CERT_ERR_UNTRUSTED);
    make_candidate(test, &test->pki.bootstrap, test->key, &leaf, "");
    assert_int_equal(check(test), CERT_ERR_UNTRUSTED);
}

static void test_a_chain_without_its_issuing_ca_is_untrusted(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    make_candidate(test, &test->pki.issuing, test->key, &leaf, "");
    assert_int_equal(check(test), CERT_ERR_UNTRUSTED);
}

static void test_a_changed_certificate_is_untrusted(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    make_candidate(test, &test->pki.issuing, test->key, &leaf, test->pki.chain_pem);
    /* Somewhere in the signature, the last line but one of the leaf */
    char *end = strstr(test->candidate.chain_pem, "-----END");
    char *signature = end - 20;
    *signature = *signature == 'A' ? 'B' : 'A';
    cert_status_t status = check(test);
    assert_true(status == CERT_ERR_UNTRUSTED || status == CERT_ERR_BAD_MESSAGE);
}

static void test_a_certificate_not_for_clients_is_untrusted(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    leaf.client_auth = false;
    assert_int_equal(check_leaf(test, &leaf), CERT_ERR_UNTRUSTED);
    leaf.no_extended_key_usage = true; /* good for anything: an identity has to say what it is for */
    assert_int_equal(check_leaf(test, &leaf), CERT_ERR_UNTRUSTED);
}

static void test_the_key_of_another_certificate_is_a_mismatch(void **state)
{
    check_test_t *test = *state;
    EVP_PKEY *const others[] = {pki_ec_key("P-256"), pki_ec_key("P-384"), pki_rsa_key(2048)};
    for (size_t i = 0; i < COUNT(others); i++) {
        test_leaf_t leaf = pki_good_leaf();
        make_candidate(test, &test->pki.issuing, others[i], &leaf, test->pki.chain_pem);
        assert_int_equal(check(test), CERT_ERR_KEY_MISMATCH);
        EVP_PKEY_free(others[i]);
    }
}

static void test_a_key_that_cannot_be_used_is_a_mismatch(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    make_candidate(test, &test->pki.issuing, test->key, &leaf, test->pki.chain_pem);
    test->candidate.key_len = 10;
    assert_int_equal(check(test), CERT_ERR_KEY_MISMATCH);
    test->candidate.key_kind = (cert_key_kind_t)9;
    assert_int_equal(check(test), CERT_ERR_KEY_MISMATCH);
}

static void test_dates_are_checked_to_the_second(void **state)
{
    check_test_t *test = *state;
    static const struct {
        int64_t not_before;
        int64_t not_after;
        cert_status_t status;
    } rows[] = {
        {-100, 0, CERT_OK},
        {-100, -1, CERT_ERR_EXPIRED},
        {0, 100, CERT_OK},
        {1, 100, CERT_ERR_NOT_YET_VALID},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_leaf_t leaf = pki_good_leaf();
        leaf.not_before = TEST_NOW + rows[i].not_before;
        leaf.not_after = TEST_NOW + rows[i].not_after;
        assert_int_equal(check_leaf(test, &leaf), rows[i].status);
    }
}

static void test_an_expired_issuing_ca_counts_as_expired(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    BIO *bio = BIO_new(BIO_s_mem());
    char chain[2048] = {0};
    assert_int_equal(PEM_write_bio_X509(bio, test->pki.expired_issuing.certificate), 1);
    assert_true(BIO_read(bio, chain, sizeof(chain) - 1) > 0);
    BIO_free(bio);
    make_candidate(test, &test->pki.expired_issuing, test->key, &leaf, chain);
    assert_int_equal(check(test), CERT_ERR_EXPIRED);
}

static void test_with_an_unknown_clock_only_what_is_surely_past_is_expired(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    test->rules.now_is_known = false;
    leaf.not_before = TEST_NOW + TEST_DAY; /* later than the floor: may be valid by now */
    assert_int_equal(check_leaf(test, &leaf), CERT_OK);
    leaf.not_before = TEST_NOW - TEST_DAY;
    leaf.not_after = TEST_NOW - 1;
    assert_int_equal(check_leaf(test, &leaf), CERT_ERR_EXPIRED);
}

static void test_the_certificate_in_use_and_older_ones_are_stale(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    cert_summary_t current;
    make_candidate(test, &test->pki.issuing, test->key, &leaf, test->pki.chain_pem);
    assert_int_equal(cert_check_summarize(test->candidate.chain_pem, &current), CERT_OK);
    test->rules.current = &current;
    assert_int_equal(check(test), CERT_ERR_STALE);
    assert_int_equal(check_leaf(test, &leaf), CERT_OK); /* another one of the same second */
    leaf.not_before--;
    assert_int_equal(check_leaf(test, &leaf), CERT_ERR_STALE);
}

static void test_the_first_thing_that_is_wrong_is_named(void **state)
{
    check_test_t *test = *state;
    EVP_PKEY *weak = pki_rsa_key(1024);
    test_leaf_t leaf = {.common_name = "other", .not_before = 0, .not_after = 1};
    make_candidate(test, &test->pki.foreign_root, weak, &leaf, "");
    assert_int_equal(check(test), CERT_ERR_WRONG_SUBJECT);
    leaf.common_name = TEST_DEVICE;
    make_candidate(test, &test->pki.foreign_root, weak, &leaf, "");
    assert_int_equal(check(test), CERT_ERR_WEAK_KEY);
    EVP_PKEY_free(weak);
    EVP_PKEY *other = pki_ec_key("P-256");
    make_candidate(test, &test->pki.foreign_root, other, &leaf, "");
    assert_int_equal(check(test), CERT_ERR_UNTRUSTED);
    leaf.client_auth = true;
    make_candidate(test, &test->pki.root, other, &leaf, "");
    assert_int_equal(check(test), CERT_ERR_KEY_MISMATCH);
    make_candidate(test, &test->pki.root, test->key, &leaf, "");
    assert_int_equal(check(test), CERT_ERR_EXPIRED);
    EVP_PKEY_free(other);
}

static void test_unreadable_anchors_are_our_own_fault(void **state)
{
    check_test_t *test = *state;
    test_leaf_t leaf = pki_good_leaf();
    test->rules.anchors_pem = "nothing";
    assert_int_equal(check_leaf(test, &leaf), CERT_ERR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_the_cloud_issues_is_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_leaf_directly_below_the_root_is_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_a_chain_in_pem_is_bad_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_certificate_further_up_is_bad_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_that_is_not_exactly_this_device_is_wrong_subject, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_names_are_wrong_subject_whatever_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_weak_key_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strong_keys_of_other_types_are_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_foreign_ca_is_untrusted_even_under_the_name_of_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_chain_without_its_issuing_ca_is_untrusted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_changed_certificate_is_untrusted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_certificate_not_for_clients_is_untrusted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_key_of_another_certificate_is_a_mismatch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_key_that_cannot_be_used_is_a_mismatch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dates_are_checked_to_the_second, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_expired_issuing_ca_counts_as_expired, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_an_unknown_clock_only_what_is_surely_past_is_expired, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_certificate_in_use_and_older_ones_are_stale, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_first_thing_that_is_wrong_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unreadable_anchors_are_our_own_fault, setup, teardown),
    };
    return RUN_TESTS(tests);
}
