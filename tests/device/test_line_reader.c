/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <unistd.h>

#include "line_reader.h"
#include "testing.h"

typedef struct {
    int write_end;
    line_reader_t reader;
} reader_test_t;

static int setup(void **state)
{
    static reader_test_t test;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    test = (reader_test_t){.write_end = ends[1], .reader = {.fd = ends[0]}};
    *state = &test;
    return 0;
}

static int teardown(void **state)
{
    reader_test_t *test = *state;
    if (test->reader.fd >= 0) {
        close(test->reader.fd);
    }
    if (test->write_end >= 0) {
        close(test->write_end);
    }
    return 0;
}

static void type(reader_test_t *test, const char *text)
{
    assert_int_equal(write(test->write_end, text, strlen(text)), strlen(text));
}

static void test_a_line_is_read_without_its_end(void **state)
{
    reader_test_t *test = *state;
    type(test, "status\n");
    assert_int_equal(line_reader_read(&test->reader), LINE_READY);
    assert_string_equal(test->reader.text, "status");
}

static void test_a_carriage_return_belongs_to_the_end(void **state)
{
    reader_test_t *test = *state;
    type(test, "status\r\n");
    assert_int_equal(line_reader_read(&test->reader), LINE_READY);
    assert_string_equal(test->reader.text, "status");
}

static void test_a_line_may_come_in_pieces(void **state)
{
    reader_test_t *test = *state;
    type(test, "sta");
    assert_int_equal(line_reader_read(&test->reader), LINE_NONE);
    type(test, "tus");
    assert_int_equal(line_reader_read(&test->reader), LINE_NONE);
    type(test, "\n");
    assert_int_equal(line_reader_read(&test->reader), LINE_READY);
    assert_string_equal(test->reader.text, "status");
}

static void test_an_empty_line_is_a_line(void **state)
{
    reader_test_t *test = *state;
    type(test, "\n");
    assert_int_equal(line_reader_read(&test->reader), LINE_READY);
    assert_string_equal(test->reader.text, "");
}

static void test_what_follows_a_line_stays_in_the_pipe_for_the_next_program(void **state)
{
    reader_test_t *test = *state;
    char rest[16] = {0};
    type(test, "restart\nstatus\n");
    assert_int_equal(line_reader_read(&test->reader), LINE_READY);
    assert_string_equal(test->reader.text, "restart");
    assert_int_equal(read(test->reader.fd, rest, sizeof(rest)), strlen("status\n"));
    assert_string_equal(rest, "status\n");
}

static void test_the_longest_line_is_read_and_a_longer_one_is_dropped_whole(void **state)
{
    reader_test_t *test = *state;
    char line[CERT_CONSOLE_LINE_MAX + 3];
    memset(line, 'x', sizeof(line));
    strcpy(line + CERT_CONSOLE_LINE_MAX, "\n");
    type(test, line);
    assert_int_equal(line_reader_read(&test->reader), LINE_READY);
    assert_int_equal(strlen(test->reader.text), CERT_CONSOLE_LINE_MAX);
    strcpy(line + CERT_CONSOLE_LINE_MAX, "x\n");
    type(test, line);
    assert_int_equal(line_reader_read(&test->reader), LINE_TOO_LONG);
    type(test, "status\n");
    assert_int_equal(line_reader_read(&test->reader), LINE_READY);
    assert_string_equal(test->reader.text, "status");
}

static void test_the_end_of_the_input_is_seen_once(void **state)
{
    reader_test_t *test = *state;
    type(test, "unfinished");
    int fd = test->reader.fd;
    close(test->write_end);
    test->write_end = -1;
    assert_int_equal(line_reader_read(&test->reader), LINE_CLOSED);
    assert_int_equal(test->reader.fd, -1); /* poll() ignores it from now on */
    close(fd);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_line_is_read_without_its_end),
        TEST(test_a_carriage_return_belongs_to_the_end),
        TEST(test_a_line_may_come_in_pieces),
        TEST(test_an_empty_line_is_a_line),
        TEST(test_what_follows_a_line_stays_in_the_pipe_for_the_next_program),
        TEST(test_the_longest_line_is_read_and_a_longer_one_is_dropped_whole),
        TEST(test_the_end_of_the_input_is_seen_once),
    };
    return RUN_TESTS(tests);
}
