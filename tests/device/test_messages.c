/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "messages.h"
#include "testing.h"

static char s_scratch[CERT_MESSAGE_MAX];

static cert_status_t parse(const char *text, cJSON **tree, const char **why)
{
    return message_parse((const uint8_t *)text, strlen(text), s_scratch, tree, why);
}

static cJSON *parse_good(const char *text)
{
    cJSON *tree;
    const char *why = "";
    if (parse(text, &tree, &why) != CERT_OK) {
        fail_msg("%s was refused: %s", text, why);
    }
    return tree;
}

/* ---------------------------------------------------------------- strictness */

static void test_an_object_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ \"a\" : 1 } \n",
        "{\"a\":\"\\n\\u00e9\\\"\\\\\"}",
        "{\"a\":\"\xc3\xa9\"}",
        "{\"a\":[[[[[[[1]]]]]]]}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        message_free(parse_good(texts[i]));
    }
}

static void test_what_is_not_one_json_object_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "null",
        "[]",
        "\"text\"",
        "1",
        "{",
        "}",
        "{\"a\":1",
        "{\"a\":}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":tru}",
        "{\"a\":\"x}",
        "{\"a\":\"\\x\"}",
        "{}{}",
        "{} x",
        "{}\"",
        "{} // why",
        "\x01{}",
        "{\x02}",
        "{\"a\":\x0b"
        "1}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        cJSON *tree = NULL;
        const char *why = NULL;
        if (parse(texts[i], &tree, &why) != CERT_ERR_BAD_MESSAGE) {
            fail_msg("row %zu was taken for a JSON object: %s", i, texts[i]);
        }
        assert_null(tree);
        assert_non_null(why);
    }
}

static void test_a_raw_line_break_in_a_string_is_refused_and_explained(void **state)
{
    (void)state;
    cJSON *tree;
    const char *why = NULL;
    assert_int_equal(parse("{\"new_certificate\":\"-----BEGIN CERTIFICATE-----\nMIIB\"}", &tree, &why),
                     CERT_ERR_BAD_MESSAGE);
    assert_non_null(strstr(why, "line break"));
    assert_int_equal(parse("{\"a\":\"\r\"}", &tree, &why), CERT_ERR_BAD_MESSAGE);
    assert_non_null(strstr(why, "line break"));
    assert_int_equal(parse("{\"a\":\"\t\"}", &tree, &why), CERT_ERR_BAD_MESSAGE);
}

static void test_an_escape_that_ends_a_c_string_or_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"a\":\"\\u0000secret\"}",
        "{\"a\":\"\\utoday\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\ud83d\"}",
        "{\"a\":\"\\udd11\\ud83d\"}",
        "{\"a\":\"\\ud83d\\u0041\"}",
        "{\"a\":\"\\udbff\\ue000\"}",
        "{\"a\":\"\\ud83d\\n12345\"}",
        "{\"a\":\"\\ud83d 123456\"}",
        "{\"a\":\"\\ud83d\\udxyz\"}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cJSON *tree;
        const char *why = NULL;
        assert_int_equal(parse(bad[i], &tree, &why), CERT_ERR_BAD_MESSAGE);
        assert_non_null(why);
    }
    cJSON *tree;
    const char *why;
    assert_int_equal(parse("{\"a\":\"\\u00e9\\n\\\\\\\"\\ud83d\\udd11\"}", &tree, &why), CERT_OK);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(tree, "a")), "\xC3\xA9\n\\\"\xF0\x9F\x94\x91");
    message_free(tree);
}

static void test_bytes_after_a_nul_are_not_overlooked(void **state)
{
    (void)state;
    static const uint8_t payload[] = "{}\0{}";
    cJSON *tree;
    const char *why;
    assert_int_equal(message_parse(payload, sizeof(payload) - 1, s_scratch, &tree, &why), CERT_ERR_BAD_MESSAGE);
}

static void test_the_largest_message_is_read_and_one_byte_more_is_refused(void **state)
{
    (void)state;
    uint8_t *payload = malloc(CERT_MESSAGE_MAX + 1);
    cJSON *tree;
    const char *why;
    memset(payload, ' ', CERT_MESSAGE_MAX + 1);
    memcpy(payload, "{}", 2);
    assert_int_equal(message_parse(payload, CERT_MESSAGE_MAX, s_scratch, &tree, &why), CERT_OK);
    message_free(tree);
    assert_int_equal(message_parse(payload, CERT_MESSAGE_MAX + 1, s_scratch, &tree, &why), CERT_ERR_BAD_MESSAGE);
    free(payload);
}

static void test_nesting_deeper_than_eight_is_refused(void **state)
{
    (void)state;
    char text[CERT_MESSAGE_MAX];
    cJSON *tree;
    const char *why;
    message_free(parse_good("{\"a\":[[[[[[[]]]]]]]}"));
    assert_int_equal(parse("{\"a\":[[[[[[[[]]]]]]]]}", &tree, &why), CERT_ERR_BAD_MESSAGE);
    memset(text, '[', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text, "{\"a\":", 5);
    assert_int_equal(parse(text, &tree, &why), CERT_ERR_BAD_MESSAGE);
}

static void test_brackets_inside_strings_are_text(void **state)
{
    (void)state;
    message_free(parse_good("{\"a\":\"[[[[[[[[[[[[\\\"[[[[{{{{{{{{\"}"));
}

static void test_no_prefix_of_a_message_is_a_message(void **state)
{
    (void)state;
    static const char message[] =
        "{\"rotation_id\":\"r\\u0031\",\"mode\":\"csr\",\"key\":\"same\",\"x\":[1,{\"y\":null}]}";
    for (size_t len = 0; len < strlen(message); len++) {
        uint8_t *prefix = malloc(len + 1); /* exactly as large: reading past the end is found */
        memcpy(prefix, message, len);
        cJSON *tree;
        const char *why;
        assert_int_equal(message_parse(prefix, len, s_scratch, &tree, &why), CERT_ERR_BAD_MESSAGE);
        free(prefix);
    }
}

/* ---------------------------------------------------------------- messages of the cloud */

static void test_a_certificate_is_read_with_all_its_fields(void **state)
{
    (void)state;
    cJSON *tree = parse_good("{\"request_id\":\"r1\",\"certificate\":\"C\",\"chain\":\"I\",\"certificate_id\":\"ab\","
                             "\"time\":\"2027-01-15T08:00:00Z\",\"settings\":{\"broker\":\"x\"},\"unknown\":[]}");
    message_certificate_t message;
    const char *why;
    assert_int_equal(message_read_certificate(tree, "request_id", &message, &why), CERT_OK);
    assert_string_equal(message.request_id, "r1");
    assert_string_equal(message.certificate, "C");
    assert_string_equal(message.chain, "I");
    assert_string_equal(message.certificate_id, "ab");
    assert_int_equal(message.time, 1800000000);
    message_free(tree);
}

static void test_a_missing_or_mistyped_field_of_a_certificate_is_bad_message(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"certificate\":\"C\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":5,\"certificate\":\"C\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"\",\"certificate\":\"C\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"r1\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"r1\",\"certificate\":null,\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"r1\",\"certificate\":\"C\"}",
        "{\"rotation_id\":\"r1\",\"certificate\":\"C\",\"certificate_id\":\"ab\",\"chain\":7}",
        "{\"rotation_id\":\"r1\",\"certificate\":\"C\",\"certificate_id\":\"ab\",\"time\":\"yesterday\"}",
        "{\"rotation_id\":\"r1\",\"certificate\":\"C\",\"certificate_id\":\"ab\",\"time\":1800000000}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        cJSON *tree = parse_good(texts[i]);
        message_certificate_t message;
        const char *why = NULL;
        assert_int_equal(message_read_certificate(tree, "rotation_id", &message, &why), CERT_ERR_BAD_MESSAGE);
        assert_non_null(why);
        message_free(tree);
    }
}

static void test_an_id_that_could_forge_a_log_line_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"rotation_id\":\"a b\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"a\\nE (1) forged\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"a\\\"\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"a\\\\\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"a\x7f\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"caf\xc3\xa9\",\"certificate_id\":\"ab\"}",
        "{\"rotation_id\":\"12345678901234567890123456789012345678901234567890123456789012345\","
        "\"certificate_id\":\"ab\"}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        cJSON *tree = parse_good(texts[i]);
        message_commit_t message;
        const char *why;
        assert_int_equal(message_read_commit(tree, &message, &why), CERT_ERR_BAD_MESSAGE);
        assert_null(message_rotation_id(tree));
        message_free(tree);
    }
}

static void test_a_rejection_is_read_and_an_absurd_delay_is_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *retry;
        uint32_t seconds;
    } rows[] = {
        {"0", 0}, {"30", 30}, {"1e300", 7 * 24 * 3600}, {"-5", 0}, {"\"30\"", 0}, {"null", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[200];
        snprintf(text, sizeof(text),
                 "{\"request_id\":\"r1\",\"code\":\"busy\",\"message\":\"later\",\"retry_after_s\":%s}", rows[i].retry);
        cJSON *tree = parse_good(text);
        message_rejected_t message;
        const char *why;
        assert_int_equal(message_read_rejected(tree, "request_id", &message, &why), CERT_OK);
        assert_int_equal(message.code, CERT_ERR_BUSY);
        assert_string_equal(message.message, "later");
        assert_int_equal(message.retry_after_s, rows[i].seconds);
        message_free(tree);
    }
}

static void test_a_rejection_without_code_or_message_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"request_id\":\"r1\",\"message\":\"later\"}",
                                        "{\"request_id\":\"r1\",\"code\":\"busy\"}", "{\"code\":\"busy\"}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        cJSON *tree = parse_good(texts[i]);
        message_rejected_t message;
        const char *why;
        assert_int_equal(message_read_rejected(tree, "request_id", &message, &why), CERT_ERR_BAD_MESSAGE);
        message_free(tree);
    }
    assert_null(message_rotation_id(NULL));
}

static void test_the_version_of_anchors_is_a_whole_number(void **state)
{
    (void)state;
    static const char *const versions[] = {"0", "1.5", "-1", "4294967296", "\"1\"", "null"};
    for (size_t i = 0; i < COUNT(versions); i++) {
        char text[100];
        snprintf(text, sizeof(text), "{\"version\":%s,\"anchors\":[\"A\"],\"signature\":\"S\"}", versions[i]);
        cJSON *tree = parse_good(text);
        message_trust_t message;
        const char *why;
        assert_int_equal(message_read_trust(tree, &message, &why), CERT_ERR_BAD_MESSAGE);
        message_free(tree);
    }
}

static void test_a_rotation_by_csr_names_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        cert_key_type_t type;
        bool same;
    } rows[] = {
        {"ec-p256", CERT_KEY_EC_P256, false},
        {"rsa-2048", CERT_KEY_RSA_2048, false},
        {"rsa-3072", CERT_KEY_RSA_3072, false},
        {"same", CERT_KEY_EC_P256, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[200];
        snprintf(text, sizeof(text), "{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":\"%s\"}", rows[i].key);
        cJSON *tree = parse_good(text);
        message_rotate_t message;
        const char *why;
        assert_int_equal(message_read_rotate(tree, &message, &why), CERT_OK);
        assert_string_equal(message.rotation_id, "r1");
        assert_null(message.certificate);
        assert_int_equal(message.same_key, rows[i].same);
        if (!rows[i].same) {
            assert_int_equal(message.key_type, rows[i].type);
        }
        assert_int_equal(message.deadline, 0);
        message_free(tree);
    }
}

static void test_a_pushed_rotation_needs_no_id(void **state)
{
    (void)state;
    cJSON *tree = parse_good("{\"new_certificate\":\"C\",\"new_private_key\":\"K\"}");
    message_rotate_t message;
    const char *why;
    assert_int_equal(message_read_rotate(tree, &message, &why), CERT_OK);
    assert_null(message.rotation_id);
    assert_string_equal(message.certificate, "C");
    assert_string_equal(message.private_key, "K");
    assert_string_equal(message.chain, "");
    message_free(tree);
}

static void test_a_rotation_with_a_bad_field_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        cert_status_t status;
    } rows[] = {
        {"{}", CERT_ERR_BAD_MESSAGE},
        {"{\"mode\":\"csr\",\"key\":\"same\"}", CERT_ERR_BAD_MESSAGE},
        {"{\"rotation_id\":\"r1\",\"mode\":\"push\",\"key\":\"same\"}", CERT_ERR_BAD_MESSAGE},
        {"{\"rotation_id\":\"r1\",\"mode\":\"csr\"}", CERT_ERR_BAD_MESSAGE},
        {"{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":3}", CERT_ERR_BAD_MESSAGE},
        {"{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":\"ed25519\"}", CERT_ERR_UNSUPPORTED},
        {"{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":\"same\",\"deadline\":\"soon\"}", CERT_ERR_BAD_MESSAGE},
        {"{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":\"same\",\"deadline\":5}", CERT_ERR_BAD_MESSAGE},
        {"{\"rotation_id\":\"r1\",\"mode\":1,\"key\":\"same\"}", CERT_ERR_BAD_MESSAGE},
        {"{\"new_certificate\":\"C\"}", CERT_ERR_BAD_MESSAGE},
        {"{\"new_private_key\":\"K\"}", CERT_ERR_BAD_MESSAGE},
        {"{\"new_certificate\":\"C\",\"new_private_key\":1}", CERT_ERR_BAD_MESSAGE},
        {"{\"new_certificate\":[\"C\"],\"new_private_key\":\"K\"}", CERT_ERR_BAD_MESSAGE},
        {"{\"rotation_id\":1,\"new_certificate\":\"C\",\"new_private_key\":\"K\"}", CERT_ERR_BAD_MESSAGE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cJSON *tree = parse_good(rows[i].text);
        message_rotate_t message;
        const char *why = NULL;
        cert_status_t status = message_read_rotate(tree, &message, &why);
        if (status != rows[i].status) {
            fail_msg("%s: %s instead of %s", rows[i].text, cert_status_code(status), cert_status_code(rows[i].status));
        }
        assert_non_null(why);
        message_free(tree);
    }
}

/* ---------------------------------------------------------------- messages of the device */

static void test_the_device_writes_what_the_protocol_says(void **state)
{
    (void)state;
    char out[CERT_MESSAGE_MAX + 1];
    assert_int_equal(message_write_enroll(out, sizeof(out), "r1", "A\nB\n", NULL, "linux", "1.0"), CERT_OK);
    assert_string_equal(
        out, "{\"request_id\":\"r1\",\"csr\":\"A\\nB\\n\",\"hardware\":{\"model\":\"linux\",\"firmware\":\"1.0\"}}");
    assert_int_equal(message_write_csr(out, sizeof(out), "r1", "A", false), CERT_OK);
    assert_string_equal(out, "{\"rotation_id\":\"r1\",\"csr\":\"A\"}");
    assert_int_equal(message_write_csr(out, sizeof(out), "r1", "A", true), CERT_OK);
    assert_string_equal(out, "{\"rotation_id\":\"r1\",\"csr\":\"A\",\"reason\":\"expiring\"}");

    message_status_t status = {.state = "connected", .certificate_id = "ab", .generation = 3, .not_after = 1800000000};
    assert_int_equal(message_write_status(out, sizeof(out), &status, 7), CERT_OK);
    assert_string_equal(out, "{\"state\":\"connected\",\"certificate_id\":\"ab\",\"generation\":3,"
                             "\"not_after\":\"2027-01-15T08:00:00Z\",\"trust_version\":7}");
    status.rotation_id = "r1";
    status.state = "rejected";
    status.code = CERT_ERR_STALE;
    status.message = "too \"old\"";
    assert_int_equal(message_write_status(out, sizeof(out), &status, 7), CERT_OK);
    assert_string_equal(
        out,
        "{\"rotation_id\":\"r1\",\"state\":\"rejected\",\"certificate_id\":\"ab\",\"generation\":3,"
        "\"not_after\":\"2027-01-15T08:00:00Z\",\"trust_version\":7,\"code\":\"stale\","
                        "\"message\":\"too \\\"old\\\"\"}");
}

static void test_a_message_that_does_not_fit_is_not_cut(void **state)
{
    (void)state;
    char out[40];
    assert_int_equal(message_write_enroll(out, sizeof(out), "r1", "a request longer than that", NULL, "x", "y"),
                     CERT_ERR_TOO_LARGE);
}

/* A heap that refuses cJSON one allocation. */
static unsigned s_left;
static unsigned s_live;

static void *allocate(size_t size)
{
    if (s_left > 0 && --s_left == 0) {
        return NULL;
    }
    s_live++;
    return malloc(size);
}

static void release(void *block)
{
    s_live -= block != NULL;
    free(block);
}

static cert_status_t write_message(int kind, char *out)
{
    const message_status_t status = {.rotation_id = "r1", .state = "rejected", .certificate_id = "ab",
                                     .code = CERT_ERR_BUSY, .message = "later"};
    switch (kind) {
    case 0:
        return message_write_enroll(out, CERT_MESSAGE_MAX, "r1", "CSR", "MAC", "model", "1.2.3");
    case 1:
        return message_write_csr(out, CERT_MESSAGE_MAX, "r1", "CSR", true);
    default:
        return message_write_status(out, CERT_MESSAGE_MAX, &status, 1);
    }
}

static void test_a_message_is_written_whole_or_not_at_all_when_memory_is_short(void **state)
{
    (void)state;
    static char out[CERT_MESSAGE_MAX];
    cJSON_InitHooks(&(cJSON_Hooks) {.malloc_fn = allocate, .free_fn = release});
    for (int kind = 0; kind < 3; kind++) {
        cert_status_t status = CERT_ERR_INTERNAL;
        unsigned refused = 0;
        while (status != CERT_OK) {
            s_left = ++refused;
            s_live = 0;
            status = write_message(kind, out);
            assert_true(status == CERT_OK || status == CERT_ERR_INTERNAL);
            assert_int_equal(s_live, 0);
        }
        assert_true(s_left > 0 && refused > 5); /* none was refused in the end */
    }
    s_left = 0;
    cJSON_InitHooks(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_object_is_read),
        cmocka_unit_test(test_what_is_not_one_json_object_is_refused),
        cmocka_unit_test(test_a_raw_line_break_in_a_string_is_refused_and_explained),
        cmocka_unit_test(test_an_escape_that_ends_a_c_string_or_is_none_is_refused),
        cmocka_unit_test(test_bytes_after_a_nul_are_not_overlooked),
        cmocka_unit_test(test_the_largest_message_is_read_and_one_byte_more_is_refused),
        cmocka_unit_test(test_nesting_deeper_than_eight_is_refused),
        cmocka_unit_test(test_brackets_inside_strings_are_text),
        cmocka_unit_test(test_no_prefix_of_a_message_is_a_message),
        cmocka_unit_test(test_a_certificate_is_read_with_all_its_fields),
        cmocka_unit_test(test_a_missing_or_mistyped_field_of_a_certificate_is_bad_message),
        cmocka_unit_test(test_an_id_that_could_forge_a_log_line_is_refused),
        cmocka_unit_test(test_a_rejection_is_read_and_an_absurd_delay_is_bounded),
        cmocka_unit_test(test_a_rejection_without_code_or_message_is_refused),
        cmocka_unit_test(test_the_version_of_anchors_is_a_whole_number),
        cmocka_unit_test(test_a_rotation_by_csr_names_its_key),
        cmocka_unit_test(test_a_pushed_rotation_needs_no_id),
        cmocka_unit_test(test_a_rotation_with_a_bad_field_is_refused),
        cmocka_unit_test(test_the_device_writes_what_the_protocol_says),
        cmocka_unit_test(test_a_message_that_does_not_fit_is_not_cut),
        cmocka_unit_test(test_a_message_is_written_whole_or_not_at_all_when_memory_is_short),
    };
    return RUN_TESTS(tests);
}
