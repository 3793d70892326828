/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage.h"
#include "test_dir.h"

static storage_t s_storage;

static int setup(void **state)
{
    char path[4096];
    test_dir_setup(state);
    snprintf(path, sizeof(path), "%s/store", (char *)*state);
    return storage_open(&s_storage, path) == CERT_OK ? 0 : -1;
}

static int teardown(void **state)
{
    storage_close(&s_storage);
    return test_dir_teardown(state);
}

static cert_status_t write_text(const char *key, const char *text)
{
    return storage_write(&s_storage, key, (const uint8_t *)text, strlen(text));
}

static void assert_value(const char *key, const char *text)
{
    uint8_t value[64];
    size_t len = 0;
    assert_int_equal(storage_read(&s_storage, key, value, sizeof(value), &len), CERT_OK);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(value, text, len);
}

static bool exists(const char *name)
{
    return faccessat(s_storage.dir, name, F_OK, 0) == 0;
}

static void test_a_value_is_read_as_it_was_written(void **state)
{
    (void)state;
    assert_int_equal(write_text("slot_a", "first"), CERT_OK);
    assert_value("slot_a", "first");
    assert_int_equal(write_text("slot_a", "a second, longer one"), CERT_OK);
    assert_value("slot_a", "a second, longer one");
    assert_int_equal(write_text("slot_a", ""), CERT_OK);
    assert_value("slot_a", "");
}

static void test_a_value_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    uint8_t value[8];
    size_t len = 99;
    assert_int_equal(storage_read(&s_storage, "slot_a", value, sizeof(value), &len), CERT_ERR_NOT_FOUND);
    assert_int_equal(len, 0);
}

static void test_a_value_larger_than_the_buffer_is_not_cut(void **state)
{
    (void)state;
    uint8_t value[4];
    size_t len;
    write_text("slot_a", "12345");
    assert_int_equal(storage_read(&s_storage, "slot_a", value, sizeof(value), &len), CERT_ERR_TOO_LARGE);
}

static void test_an_erased_value_is_gone_and_may_be_erased_again(void **state)
{
    (void)state;
    write_text("slot_a", "secret");
    assert_int_equal(storage_erase(&s_storage, "slot_a"), CERT_OK);
    assert_false(exists("slot_a"));
    assert_int_equal(storage_erase(&s_storage, "slot_a"), CERT_OK);
}

/** The content of a file through a descriptor opened before it was replaced or erased. */
static void assert_overwritten(int fd, size_t len)
{
    uint8_t old[64];
    static const uint8_t zeros[64];
    assert_int_equal(pread(fd, old, sizeof(old), 0), len);
    assert_memory_equal(old, zeros, len);
    close(fd);
}

static void test_the_old_bytes_are_overwritten(void **state)
{
    (void)state;
    write_text("slot_a", "secret");
    int fd = openat(s_storage.dir, "slot_a", O_RDONLY);
    write_text("slot_a", "replaced");
    assert_overwritten(fd, strlen("secret"));
    fd = openat(s_storage.dir, "slot_a", O_RDONLY);
    storage_erase(&s_storage, "slot_a");
    assert_overwritten(fd, strlen("replaced"));
}

static void test_only_the_owner_may_read(void **state)
{
    (void)state;
    struct stat info;
    mode_t old = umask(0);
    write_text("slot_a", "secret");
    umask(old);
    assert_int_equal(fstatat(s_storage.dir, "slot_a", &info, 0), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(fstat(s_storage.dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

static void test_a_write_cut_before_the_rename_leaves_the_old_value(void **state)
{
    char path[4096];
    write_text("slot_a", "old");
    int fd = openat(s_storage.dir, "slot_a.new", O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "ne", 2), 2);
    close(fd);
    storage_close(&s_storage);
    snprintf(path, sizeof(path), "%s/store", (char *)*state);
    assert_int_equal(storage_open(&s_storage, path), CERT_OK);
    assert_value("slot_a", "old");
    assert_false(exists("slot_a.new"));
}

static void test_a_full_medium_is_reported_and_leaves_the_old_value(void **state)
{
    (void)state;
    write_text("slot_a", "old");
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 4, .rlim_max = old.rlim_max});
    cert_status_t status = write_text("slot_a", "far too long");
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, CERT_ERR_STORAGE_FULL);
    assert_value("slot_a", "old");
    assert_false(exists("slot_a.new"));
}

static void test_what_is_no_file_of_ours_is_an_error_and_not_touched(void **state)
{
    char outside[4096];
    uint8_t value[8];
    size_t len;
    snprintf(outside, sizeof(outside), "%s/outside", (char *)*state);
    int fd = open(outside, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "theirs", 6), 6);
    close(fd);
    assert_int_equal(symlinkat(outside, s_storage.dir, "slot_a"), 0);
    assert_int_equal(storage_read(&s_storage, "slot_a", value, sizeof(value), &len), CERT_ERR_STORAGE);
    assert_int_equal(storage_erase(&s_storage, "slot_a"), CERT_ERR_STORAGE);
    fd = open(outside, O_RDONLY);
    assert_int_equal(read(fd, value, sizeof(value)), 6);
    assert_memory_equal(value, "theirs", 6);
    close(fd);
}

static void test_a_place_that_cannot_be_a_directory_is_an_error(void **state)
{
    char path[4096];
    storage_t other;
    snprintf(path, sizeof(path), "%s/file", (char *)*state);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(storage_open(&other, path), CERT_ERR_STORAGE);
    assert_int_equal(errno, ENOTDIR);
    snprintf(path, sizeof(path), "%s/no/such/parent", (char *)*state);
    assert_int_equal(storage_open(&other, path), CERT_ERR_STORAGE);
    assert_int_equal(errno, ENOENT);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_value_is_read_as_it_was_written),
        TEST(test_a_value_that_is_not_there_is_not_found),
        TEST(test_a_value_larger_than_the_buffer_is_not_cut),
        TEST(test_an_erased_value_is_gone_and_may_be_erased_again),
        TEST(test_the_old_bytes_are_overwritten),
        TEST(test_only_the_owner_may_read),
        TEST(test_a_write_cut_before_the_rename_leaves_the_old_value),
        TEST(test_a_full_medium_is_reported_and_leaves_the_old_value),
        TEST(test_what_is_no_file_of_ours_is_an_error_and_not_touched),
        TEST(test_a_place_that_cannot_be_a_directory_is_an_error),
    };
    return RUN_TESTS(tests);
}
