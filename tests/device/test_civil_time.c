/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <time.h>

#include "civil_time.h"
#include "testing.h"

static void test_seconds_agree_with_the_c_library_on_every_day_of_a_century(void **state)
{
    (void)state;
    for (int64_t day = -365; day < 36525; day++) {
        time_t seconds = (time_t)(day * 86400 + 3661);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        assert_int_equal(
            civil_time_seconds(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec),
            seconds);
    }
}

static void test_text_and_seconds_belong_together(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {-62167219200, "0000-01-01T00:00:00Z"},
        {-62162035201, "0000-02-29T23:59:59Z"},
        {-1, "1969-12-31T23:59:59Z"},
        {0, "1970-01-01T00:00:00Z"},
        {951782400, "2000-02-29T00:00:00Z"},
        {1800000000, "2027-01-15T08:00:00Z"},
        {4107542399, "2100-02-28T23:59:59Z"},
        {253402300799, "9999-12-31T23:59:59Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[CIVIL_TIME_TEXT_MAX];
        int64_t seconds = -1;
        civil_time_format(rows[i].seconds, text);
        assert_string_equal(text, rows[i].text);
        assert_true(civil_time_parse(text, &seconds));
        assert_int_equal(seconds, rows[i].seconds);
    }
}

static void test_every_way_to_write_utc_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:00.123456Z",
        "2027-01-15T08:00:00+00:00",
        "2027-01-15T08:00:00.5+00:00",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        int64_t seconds = 0;
        assert_true(civil_time_parse(texts[i], &seconds));
        assert_int_equal(seconds, 1800000000);
    }
}

static void test_what_is_not_a_time_in_utc_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "now",
        "2027-01-15",
        "2027-01-15T08:00:00",
        "2027-01-15T08:00:00+01:00",
        "2027-13-15T08:00:00Z",
        "2027-00-15T08:00:00Z",
        "2027-01-32T08:00:00Z",
        "2027-02-29T08:00:00Z",
        "2027-01-00T08:00:00Z",
        "2100-02-29T08:00:00Z",
        "2027-01-15T24:00:00Z",
        "2027-01-15T08:60:00Z",
        "2027-01-15T08:00:61Z",
        "2027/01-15T08:00:00Z",
        "2027-01/15T08:00:00Z",
        "2027-01-15 08:00:00Z",
        "2027-01-15T08.00:00Z",
        "2027-01-15T08:00.00Z",
        "2027-0a-15T08:00:00Z",
        "2027-01-a5T08:00:00Z",
        "2027-01-15Ta8:00:00Z",
        "2027-01-15T08:a0:00Z",
        "2027-01-15T08:00:00Z ",
        "2027-01-15T08:00:00.Z",
        "-027-01-15T08:00:00Z",
        "2027-01-15T08:00:0",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        int64_t seconds;
        if (civil_time_parse(texts[i], &seconds)) {
            fail_msg("\"%s\" was taken for a time", texts[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seconds_agree_with_the_c_library_on_every_day_of_a_century),
        cmocka_unit_test(test_text_and_seconds_belong_together),
        cmocka_unit_test(test_every_way_to_write_utc_is_read),
        cmocka_unit_test(test_what_is_not_a_time_in_utc_is_refused),
    };
    return RUN_TESTS(tests);
}
