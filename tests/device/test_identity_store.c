/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "bytes.h"
#include "fake_port.h"
#include "identity_store.h"
#include "testing.h"

typedef struct {
    fake_port_t fake;
    cert_port_t port;
    uint8_t blob[CERT_SLOT_BLOB_MAX];
    cert_identity_t identity;
    cert_identity_t read_back;
    cert_commit_record_t record;
    const char *note;
} store_test_t;

static int setup(void **state)
{
    store_test_t *test = calloc(1, sizeof(*test));
    fake_port_init(&test->fake);
    test->port = fake_port_make(&test->fake);
    *state = test;
    return 0;
}

/** Write an identity with a certificate, or one that waits for it. */
static void write_identity(store_test_t *test, cert_slot_t slot, uint32_t generation, const char *chain)
{
    cert_identity_t *identity = &test->identity;
    memset(identity, 0, sizeof(*identity));
    identity->origin = CERT_ORIGIN_ROTATION;
    identity->generation = generation;
    strcpy(identity->request_id, "rotation-1");
    identity->key_len = 121;
    memset(identity->key, 0xA0 + (int)generation, identity->key_len);
    identity->chain_len = strlen(chain);
    strcpy(identity->chain_pem, chain);
    assert_int_equal(store_write_slot(&test->port, slot, test->blob, identity), CERT_OK);
}

static void write_record(store_test_t *test, cert_slot_t current, cert_slot_t trial, uint32_t generation)
{
    const cert_commit_record_t record = {
        .current = current, .trial = trial, .generation = generation, .trial_refusals = 2};
    assert_int_equal(store_write_record(&test->port, &record), CERT_OK);
}

static cert_status_t open_store(store_test_t *test)
{
    test->fake.changes = 0;
    return store_open(&test->port, test->blob, &test->read_back, &test->record, &test->note);
}

static void assert_record(const store_test_t *test, cert_slot_t current, cert_slot_t trial, uint32_t generation)
{
    assert_int_equal(test->record.current, current);
    assert_int_equal(test->record.trial, trial);
    assert_int_equal(test->record.generation, generation);
}

static cert_status_t read_slot(store_test_t *test, cert_slot_t slot)
{
    return store_read_slot(&test->port, slot, test->blob, &test->read_back);
}

/* ---------------------------------------------------------------- one slot */

static void test_an_identity_is_read_as_it_was_written(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_B, 7, "-----BEGIN CERTIFICATE-----\n");
    assert_int_equal(read_slot(test, CERT_SLOT_B), CERT_OK);
    assert_memory_equal(&test->read_back, &test->identity, sizeof(test->identity));
}

static void test_the_largest_identity_fits(void **state)
{
    store_test_t *test = *state;
    cert_identity_t *identity = &test->identity;
    identity->origin = CERT_ORIGIN_ENROLLMENT;
    identity->generation = UINT32_MAX;
    memset(identity->request_id, 'r', CERT_REQUEST_ID_MAX);
    identity->key_len = CERT_KEY_MAX;
    memset(identity->key, 0xFF, CERT_KEY_MAX);
    identity->chain_len = CERT_CHAIN_PEM_MAX;
    memset(identity->chain_pem, 'c', CERT_CHAIN_PEM_MAX);
    assert_int_equal(store_write_slot(&test->port, CERT_SLOT_A, test->blob, identity), CERT_OK);
    assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_OK);
    assert_memory_equal(&test->read_back, identity, sizeof(*identity));
}

static void test_an_empty_slot_is_not_found(void **state)
{
    store_test_t *test = *state;
    assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_NOT_FOUND);
}

static void test_no_key_stays_in_the_scratch_buffer(void **state)
{
    store_test_t *test = *state;
    static const uint8_t zeros[CERT_SLOT_BLOB_MAX];
    write_identity(test, CERT_SLOT_A, 1, "chain");
    assert_memory_equal(test->blob, zeros, sizeof(zeros));
    assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_OK);
    assert_memory_equal(test->blob, zeros, sizeof(zeros));
}

static void test_a_flipped_bit_anywhere_is_found(void **state)
{
    store_test_t *test = *state;
    static const cert_identity_t empty;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    fake_value_t *value = fake_port_value(&test->fake, "slot_a");
    for (size_t i = 0; i < value->len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            value->data[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_CORRUPT);
            assert_memory_equal(&test->read_back, &empty, sizeof(empty));
            value->data[i] ^= (uint8_t)(1 << bit);
        }
    }
}

static void test_a_torn_slot_or_one_with_bytes_after_it_is_corrupt(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    fake_value_t *value = fake_port_value(&test->fake, "slot_a");
    size_t full = value->len;
    for (size_t len = 0; len < full; len++) {
        value->len = len;
        assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_CORRUPT);
    }
    value->len = full + 1;
    assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_CORRUPT);
}

static void test_a_slot_torn_on_erased_flash_is_not_taken_for_a_newer_version(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    fake_value_t *value = fake_port_value(&test->fake, "slot_a");
    for (size_t written = value->len; written-- > 0;) {
        value->data[written] = 0xFF;
        assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_CORRUPT);
    }
}

/** Change a field of a stored value and make its CRC right again. */
static void forge(fake_value_t *value, size_t offset, uint8_t byte)
{
    value->data[offset] = byte;
    bytes_put_u32(value->data + value->len - 4, bytes_crc32(value->data, value->len - 4));
}

static void test_lengths_that_do_not_add_up_are_corrupt_even_with_a_good_crc(void **state)
{
    store_test_t *test = *state;
    for (size_t offset = 12; offset < 18; offset++) {
        write_identity(test, CERT_SLOT_A, 1, "chain");
        fake_value_t *value = fake_port_value(&test->fake, "slot_a");
        forge(value, offset, (uint8_t)(value->data[offset] + 1));
        assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_CORRUPT);
    }
}

static void test_a_slot_of_a_newer_version_is_told_apart_from_a_corrupt_one(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    fake_value_t *value = fake_port_value(&test->fake, "slot_a");
    forge(value, 4, 2);
    assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_NEWER_FORMAT);
    value->len = CERT_SLOT_BLOB_MAX + 1; /* longer than any of ours: it cannot be ours */
    assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_NEWER_FORMAT);
}

static void test_errors_of_the_medium_are_passed_on(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    test->fake.read_status = CERT_ERR_STORAGE;
    assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_STORAGE);
    assert_int_equal(open_store(test), CERT_ERR_STORAGE);
    test->fake.write_status = CERT_ERR_STORAGE_FULL;
    assert_int_equal(store_write_slot(&test->port, CERT_SLOT_A, test->blob, &test->identity), CERT_ERR_STORAGE_FULL);
}

/* ---------------------------------------------------------------- opening the store */

static void test_a_new_device_has_no_identity_and_writes_nothing(void **state)
{
    store_test_t *test = *state;
    assert_int_equal(open_store(test), CERT_OK);
    assert_record(test, CERT_SLOT_NONE, CERT_SLOT_NONE, 0);
    assert_null(test->note);
    assert_int_equal(test->fake.changes, 0);
}

static void test_a_consistent_store_is_left_alone(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    write_identity(test, CERT_SLOT_B, 2, "chain");
    write_record(test, CERT_SLOT_A, CERT_SLOT_B, 1);
    assert_int_equal(open_store(test), CERT_OK);
    assert_record(test, CERT_SLOT_A, CERT_SLOT_B, 1);
    assert_int_equal(test->record.trial_refusals, 2);
    assert_null(test->note);
    assert_int_equal(test->fake.changes, 0);
}

static void test_a_request_that_waits_for_its_answer_is_kept(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    write_identity(test, CERT_SLOT_B, 2, "");
    write_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 1);
    assert_int_equal(open_store(test), CERT_OK);
    assert_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 1);
    assert_int_equal(read_slot(test, CERT_SLOT_B), CERT_OK);
    assert_int_equal(test->fake.changes, 0);
}

static void test_a_staging_cut_before_the_record_is_completed(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    write_identity(test, CERT_SLOT_B, 2, "chain");
    write_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 1);
    assert_int_equal(open_store(test), CERT_OK);
    assert_record(test, CERT_SLOT_A, CERT_SLOT_B, 1);
    assert_int_equal(test->record.trial_refusals, 0);
    assert_non_null(test->note);
}

static void test_a_promotion_cut_before_the_tidying_is_completed(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    write_identity(test, CERT_SLOT_B, 2, "chain");
    write_record(test, CERT_SLOT_B, CERT_SLOT_NONE, 2);
    assert_int_equal(open_store(test), CERT_OK);
    assert_record(test, CERT_SLOT_B, CERT_SLOT_NONE, 2);
    assert_int_equal(read_slot(test, CERT_SLOT_A), CERT_ERR_NOT_FOUND);
    assert_int_equal(read_slot(test, CERT_SLOT_B), CERT_OK);
}

static void test_a_lost_record_is_rebuilt_from_the_slots(void **state)
{
    store_test_t *test = *state;
    static const struct {
        uint32_t generation_a;
        uint32_t generation_b;
        cert_slot_t current;
        cert_slot_t trial;
        uint32_t generation;
    } rows[] = {
        {5, 0, CERT_SLOT_A, CERT_SLOT_NONE, 5},
        {0, 5, CERT_SLOT_B, CERT_SLOT_NONE, 5},
        {5, 6, CERT_SLOT_A, CERT_SLOT_B, 5}, /* the older one was freed only after the newer had been proven */
        {6, 5, CERT_SLOT_B, CERT_SLOT_A, 5},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        fake_port_init(&test->fake);
        if (rows[i].generation_a != 0) {
            write_identity(test, CERT_SLOT_A, rows[i].generation_a, "chain");
        }
        if (rows[i].generation_b != 0) {
            write_identity(test, CERT_SLOT_B, rows[i].generation_b, "chain");
        }
        assert_int_equal(open_store(test), CERT_OK);
        assert_record(test, rows[i].current, rows[i].trial, rows[i].generation);
        assert_non_null(test->note);
        assert_int_equal(open_store(test), CERT_OK); /* and the rebuilt one is stored */
        assert_null(test->note);
    }
}

static void test_a_corrupt_record_is_rebuilt_wherever_the_bit_flipped(void **state)
{
    store_test_t *test = *state;
    for (size_t i = 0; i < 20; i++) {
        fake_port_init(&test->fake);
        write_identity(test, CERT_SLOT_A, 5, "chain");
        write_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 5);
        fake_value_t *value = fake_port_value(&test->fake, "commit");
        value->data[i] ^= 0x80;
        if (i == 4 || i == 5) {
            continue; /* the format version: below */
        }
        assert_int_equal(open_store(test), CERT_OK);
        assert_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 5);
        assert_non_null(test->note);
    }
}

static void test_a_record_that_makes_no_sense_is_rebuilt_even_with_a_good_crc(void **state)
{
    store_test_t *test = *state;
    static const uint8_t slots[][2] = {{3, 0}, {0, 3}, {1, 1}, {2, 2}, {255, 255}};
    for (size_t i = 0; i < COUNT(slots); i++) {
        fake_port_init(&test->fake);
        write_identity(test, CERT_SLOT_A, 5, "chain");
        write_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 5);
        fake_value_t *value = fake_port_value(&test->fake, "commit");
        forge(value, 6, slots[i][0]);
        forge(value, 7, slots[i][1]);
        assert_int_equal(open_store(test), CERT_OK);
        assert_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 5);
    }
}

static void test_nothing_of_a_newer_version_is_used_or_changed(void **state)
{
    store_test_t *test = *state;
    static const char *const keys[] = {"commit", "slot_a", "slot_b"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        fake_port_init(&test->fake);
        write_identity(test, CERT_SLOT_A, 1, "chain");
        write_identity(test, CERT_SLOT_B, 2, "chain");
        write_record(test, CERT_SLOT_B, CERT_SLOT_NONE, 2);
        forge(fake_port_value(&test->fake, keys[i]), 4, strcmp(keys[i], "commit") == 0 ? 3 : 2);
        assert_int_equal(open_store(test), CERT_ERR_NEWER_FORMAT);
        assert_int_equal(test->fake.changes, 0);
    }
}

static void test_a_free_slot_that_is_corrupt_is_erased(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 1, "chain");
    write_identity(test, CERT_SLOT_B, 2, "chain");
    write_record(test, CERT_SLOT_B, CERT_SLOT_NONE, 2);
    fake_port_value(&test->fake, "slot_a")->data[30] ^= 1; /* it may hold what is left of a key */
    assert_int_equal(open_store(test), CERT_OK);
    assert_null(fake_port_value(&test->fake, "slot_a"));
    assert_record(test, CERT_SLOT_B, CERT_SLOT_NONE, 2);
}

static void test_what_is_left_of_a_key_goes_at_once_also_where_the_record_was_lost(void **state)
{
    store_test_t *test = *state;
    for (int corrupt_slots = 1; corrupt_slots <= 2; corrupt_slots++) {
        fake_port_init(&test->fake);
        write_identity(test, CERT_SLOT_A, 1, "chain");
        write_identity(test, CERT_SLOT_B, 2, "chain");
        fake_port_value(&test->fake, "slot_b")->data[30] ^= 1;
        if (corrupt_slots == 2) {
            fake_port_value(&test->fake, "slot_a")->data[30] ^= 1;
        }
        assert_int_equal(open_store(test), CERT_OK);
        assert_null(fake_port_value(&test->fake, "slot_b"));
        assert_int_equal(fake_port_value(&test->fake, "slot_a") != NULL, corrupt_slots == 1);
        assert_record(test, corrupt_slots == 1 ? CERT_SLOT_A : CERT_SLOT_NONE, CERT_SLOT_NONE, corrupt_slots == 1);
    }
}

/* ---------------------------------------------------------------- a trial that was rolled back, and format versions */

/** Slot A in use; the identity in slot B was rolled back. */
static void write_rolled_back(store_test_t *test)
{
    write_identity(test, CERT_SLOT_A, 1, "chain");
    write_identity(test, CERT_SLOT_B, 2, "chain");
    cert_commit_record_t record = {
        .current = CERT_SLOT_A, .generation = 1, .rolled_back_code = CERT_ERR_NOT_ALLOWED};
    strcpy(record.rolled_back_id, test->identity.request_id);
    assert_int_equal(store_write_record(&test->port, &record), CERT_OK);
}

static void test_what_was_rolled_back_is_remembered_and_its_slot_erased(void **state)
{
    store_test_t *test = *state;
    write_rolled_back(test);
    assert_int_equal(open_store(test), CERT_OK);
    assert_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 1);
    assert_string_equal(test->record.rolled_back_id, "rotation-1");
    assert_int_equal(test->record.rolled_back_code, CERT_ERR_NOT_ALLOWED);
    assert_null(fake_port_value(&test->fake, "slot_b"));
}

static void test_a_request_under_the_id_of_what_was_rolled_back_is_kept(void **state)
{
    store_test_t *test = *state;
    write_rolled_back(test);
    write_identity(test, CERT_SLOT_B, 2, "");
    assert_int_equal(open_store(test), CERT_OK);
    assert_non_null(fake_port_value(&test->fake, "slot_b"));
}

static void test_the_longest_id_fits_the_record(void **state)
{
    store_test_t *test = *state;
    cert_commit_record_t record = {.rolled_back_code = CERT_ERR_INTERNAL};
    memset(record.rolled_back_id, 'r', CERT_REQUEST_ID_MAX);
    assert_int_equal(store_write_record(&test->port, &record), CERT_OK);
    assert_int_equal(open_store(test), CERT_OK);
    assert_string_equal(test->record.rolled_back_id, record.rolled_back_id);
}

static void test_an_id_that_is_not_as_long_as_the_record_says_makes_it_corrupt(void **state)
{
    store_test_t *test = *state;
    for (int wrong = -1; wrong <= 1; wrong += 2) {
        fake_port_init(&test->fake);
        write_rolled_back(test);
        fake_value_t *value = fake_port_value(&test->fake, "commit");
        forge(value, 15, (uint8_t)(value->data[15] + wrong));
        assert_int_equal(open_store(test), CERT_OK);
        assert_string_equal(test->record.rolled_back_id, "");
    }
}

static void test_the_record_says_version_2_only_while_version_1_could_not_say_it(void **state)
{
    store_test_t *test = *state;
    write_rolled_back(test);
    assert_int_equal(fake_port_value(&test->fake, "commit")->data[4], 2);
    write_record(test, CERT_SLOT_A, CERT_SLOT_NONE, 1);
    assert_int_equal(fake_port_value(&test->fake, "commit")->data[4], 1);
    assert_int_equal(fake_port_value(&test->fake, "commit")->len, 20);
}

/** Codes are stored: these numbers stay. */
static void test_the_numbers_of_the_codes_stay(void **state)
{
    (void)state;
    assert_int_equal(CERT_ERR_NOT_ALLOWED, 10);
    assert_int_equal(CERT_ERR_STORAGE, 16);
    assert_int_equal(CERT_ERR_INTERNAL, 19);
}

static void test_a_repair_that_cannot_be_written_is_good_for_this_start(void **state)
{
    static const cert_status_t why[] = { CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL };
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 5, "chain");
    write_identity(test, CERT_SLOT_B, 6, "chain");
    for (size_t i = 0; i < COUNT(why); i++) {
        test->fake.write_status = why[i];
        assert_int_equal(open_store(test), CERT_OK);
        assert_int_equal(test->record.current, CERT_SLOT_A);
        assert_int_equal(test->record.trial, CERT_SLOT_B);
        assert_non_null(strstr(test->note, "could not be written"));
    }
    test->fake.write_status = CERT_OK;
    assert_int_equal(open_store(test), CERT_OK);
    assert_non_null(fake_port_value(&test->fake, "commit"));
}

static void test_what_cannot_be_erased_is_not_used_for_all_that(void **state)
{
    store_test_t *test = *state;
    write_identity(test, CERT_SLOT_A, 4, "chain");
    write_identity(test, CERT_SLOT_B, 5, "chain");
    write_record(test, CERT_SLOT_B, CERT_SLOT_NONE, 5);
    test->fake.write_status = CERT_ERR_STORAGE;
    assert_int_equal(open_store(test), CERT_OK);
    assert_int_equal(test->record.current, CERT_SLOT_B);
    assert_int_equal(test->record.trial, CERT_SLOT_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_platform_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_identity_is_read_as_it_was_written),
        TEST(test_the_largest_identity_fits),
        TEST(test_an_empty_slot_is_not_found),
        TEST(test_no_key_stays_in_the_scratch_buffer),
        TEST(test_a_flipped_bit_anywhere_is_found),
        TEST(test_a_torn_slot_or_one_with_bytes_after_it_is_corrupt),
        TEST(test_a_slot_torn_on_erased_flash_is_not_taken_for_a_newer_version),
        TEST(test_a_free_slot_that_is_corrupt_is_erased),
        TEST(test_lengths_that_do_not_add_up_are_corrupt_even_with_a_good_crc),
        TEST(test_a_slot_of_a_newer_version_is_told_apart_from_a_corrupt_one),
        TEST(test_errors_of_the_medium_are_passed_on),
        TEST(test_a_new_device_has_no_identity_and_writes_nothing),
        TEST(test_a_consistent_store_is_left_alone),
        TEST(test_a_request_that_waits_for_its_answer_is_kept),
        TEST(test_a_staging_cut_before_the_record_is_completed),
        TEST(test_a_promotion_cut_before_the_tidying_is_completed),
        TEST(test_a_lost_record_is_rebuilt_from_the_slots),
        TEST(test_a_corrupt_record_is_rebuilt_wherever_the_bit_flipped),
        TEST(test_a_record_that_makes_no_sense_is_rebuilt_even_with_a_good_crc),
        TEST(test_nothing_of_a_newer_version_is_used_or_changed),
        TEST(test_what_is_left_of_a_key_goes_at_once_also_where_the_record_was_lost),
        TEST(test_what_was_rolled_back_is_remembered_and_its_slot_erased),
        TEST(test_a_request_under_the_id_of_what_was_rolled_back_is_kept),
        TEST(test_the_longest_id_fits_the_record),
        TEST(test_an_id_that_is_not_as_long_as_the_record_says_makes_it_corrupt),
        TEST(test_the_record_says_version_2_only_while_version_1_could_not_say_it),
        TEST(test_a_repair_that_cannot_be_written_is_good_for_this_start),
        TEST(test_what_cannot_be_erased_is_not_used_for_all_that),
        cmocka_unit_test(test_the_numbers_of_the_codes_stay),
    };
    return RUN_TESTS(tests);
}
