/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cert_mgmt/cert_status.h"
#include "testing.h"

static const char *const s_codes[] = {
    "bad_message",   "bad_csr",       "weak_key",    "wrong_subject",   "untrusted", "key_mismatch", "expired",
    "not_yet_valid", "stale",         "not_allowed", "budget_exceeded", "revoked",   "suspended",    "busy",
    "storage_full",  "storage_error", "unsupported", "deadline_passed", "internal",
};

static void test_every_code_of_the_protocol_has_a_status_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(s_codes); i++) {
        assert_string_equal(cert_status_code(cert_status_from_code(s_codes[i])), s_codes[i]);
    }
}

static void test_an_unknown_code_is_internal(void **state)
{
    (void)state;
    assert_int_equal(cert_status_from_code("out_of_cheese"), CERT_ERR_INTERNAL);
    assert_int_equal(cert_status_from_code(""), CERT_ERR_INTERNAL);
    assert_int_equal(cert_status_from_code("ok"), CERT_ERR_INTERNAL);
}

static void test_what_never_leaves_the_device_is_internal_on_the_wire(void **state)
{
    (void)state;
    static const cert_status_t inner[] = {
        CERT_ERR_NOT_FOUND, CERT_ERR_TOO_LARGE, CERT_ERR_CORRUPT, CERT_ERR_NEWER_FORMAT, CERT_ERR_INVALID_ARG,
    };
    for (size_t i = 0; i < COUNT(inner); i++) {
        assert_string_equal(cert_status_code(inner[i]), "internal");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_of_the_protocol_has_a_status_and_back),
        cmocka_unit_test(test_an_unknown_code_is_internal),
        cmocka_unit_test(test_what_never_leaves_the_device_is_internal_on_the_wire),
    };
    return RUN_TESTS(tests);
}
