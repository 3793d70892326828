/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * No private key is left in a device's memory once it has done its service: not in the heap, where what was freed keeps
 * its content, not in the stack below what is running, not in data. The device is a process of its own
 * (device_process.h) whose memory is searched from outside. One place may hold the key of the identity in use: the
 * agent's `identity`, which the connection refers to.
 */
#include <stdlib.h>

#include "bytes.h"
#include "device_process.h"
#include "needles.h"
#include "scan.h"
#include "testing.h"

#define IN_USE true
#define GONE false

/* Of a slot: docs/identity-store.md */
#define ID_LEN_AT 12
#define KEY_LEN_AT 14
#define BODY_AT 20

/** The first piece of a key found where it must not be; 0: none. */
static uintptr_t find_key(device_process_t *process, const needles_t *needles, bool may_be_in_use, const char **name)
{
    static char where[64];
    scan_t *scan = scan_take(process->pid);
    uintptr_t found = 0;
    assert_true(scan_size(scan) > sizeof(cert_agent_t));
    for (size_t i = 0; i < needles->count && found == 0; i++) {
        found = scan_find(scan, needles->bytes[i], NEEDLE_LEN, process->identity_key, may_be_in_use ? CERT_KEY_MAX : 0);
    }
    strncpy(where, scan_name(scan, found), sizeof(where) - 1);
    *name = where;
    scan_free(scan);
    return found;
}

static void assert_key_is(device_process_t *process, const needles_t *needles, bool in_use)
{
    const char *name;
    uintptr_t found = find_key(process, needles, in_use, &name);
    if (found != 0) {
        fail_msg("a piece of a key is left at %#lx in %s", (unsigned long)found, name);
    }
    if (in_use) {
        assert_int_not_equal(find_key(process, needles, false, &name), 0); /* or the search sees nothing */
    }
}

/** The key in a slot, which is on the medium and not in the device's memory. */
static void key_in_slot(device_process_t *process, const char *slot, needles_t *needles)
{
    const fake_value_t *value = fake_port_value(&process->device.fake, slot);
    assert_non_null(value);
    const uint8_t *key = value->data + BODY_AT + bytes_get_u16(value->data + ID_LEN_AT);
    needles_of_reference(key, bytes_get_u16(value->data + KEY_LEN_AT), needles);
}

static void enroll(device_process_t *process, needles_t *key)
{
    const test_leaf_t leaf = pki_good_leaf();
    process_connected(process);
    key_in_slot(process, "slot_a", key);
    assert_key_is(process, key, GONE); /* it waits on the medium for its certificate */
    process_receive(process, TOPIC_ACCEPTED, cloud_answer(&process->device, TOPIC_ENROLL, &leaf));
    process_connected(process);
    assert_key_is(process, key, IN_USE);
}

static void test_a_key_that_is_planted_is_found_wherever_that_is(void **state)
{
    for (plant_t where = 0; where < PLANTS; where++) {
        void *own;
        needles_t key;
        const char *name;
        device_process_setup(&own);
        enroll(own, &key);
        process_plant(own, where);
        assert_int_not_equal(find_key(own, &key, IN_USE, &name), 0);
        device_process_teardown(&own);
    }
    (void)state;
}

static void test_enrolment_leaves_the_key_of_the_identity_in_use_only(void **state)
{
    needles_t key;
    enroll(*state, &key);
}

static void rotate_by_csr(device_process_t *process, const char *type)
{
    needles_t old_key;
    needles_t new_key;
    char *order;
    assert_true(asprintf(&order, "{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":\"%s\"}", type) > 0);
    enroll(process, &old_key);
    process_receive(process, TOPIC_ROTATE, order);
    key_in_slot(process, "slot_b", &new_key);
    assert_key_is(process, &new_key, GONE);
    process_receive(process, TOPIC_ISSUED, cloud_answer_csr(&process->device));
    assert_key_is(process, &old_key, GONE); /* still on the medium, should it be needed again */
    process_connected(process);
    process_receive(process, TOPIC_COMMIT, cloud_commit(&process->device, "r1"));
    assert_said(&process->device, TOPIC_STATUS, "state", "committed");
    assert_key_is(process, &old_key, GONE);
    assert_key_is(process, &new_key, IN_USE);
}

static void test_a_rotation_by_csr_leaves_the_new_key_only(void **state)
{
    rotate_by_csr(*state, "ec-p256");
}

static void test_a_rotation_to_rsa_leaves_the_new_key_only(void **state)
{
    rotate_by_csr(*state, "rsa-2048");
}

/** A push of this key; the certificate is for `certified`. */
static void push(device_process_t *process, EVP_PKEY *key, EVP_PKEY *certified)
{
    const test_leaf_t leaf = pki_good_leaf();
    char *certificate = pki_issue(&process->device.pki.issuing, certified, &leaf);
    char *key_pem = pki_key_pem(key);
    process_receive(process, TOPIC_ROTATE, cloud_push(&process->device, "r1", certificate, key_pem));
    free(certificate);
    free(key_pem);
}

static EVP_PKEY *make_key(bool is_rsa)
{
    return is_rsa ? pki_rsa_key(2048) : pki_ec_key("P-256");
}

static void test_a_pushed_rotation_leaves_the_new_key_only(void **state)
{
    for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
        void *own;
        needles_t old_key;
        needles_t new_key;
        device_process_setup(&own);
        enroll(own, &old_key);
        EVP_PKEY *pushed = make_key(is_rsa);
        needles_of_key(pushed, &new_key);
        push(own, pushed, pushed);
        EVP_PKEY_free(pushed);
        process_connected(own);
        assert_key_is(own, &new_key, IN_USE);
        assert_key_is(own, &old_key, GONE);
        process_receive(own, TOPIC_COMMIT, cloud_commit(&((device_process_t *)own)->device, "r1"));
        assert_key_is(own, &new_key, IN_USE);
        assert_key_is(own, &old_key, GONE);
        device_process_teardown(&own);
    }
    (void)state;
}

static void test_a_trial_that_is_rolled_back_leaves_nothing(void **state)
{
    device_process_t *process = *state;
    needles_t old_key;
    needles_t new_key;
    EVP_PKEY *pushed = pki_ec_key("P-256");
    enroll(process, &old_key);
    needles_of_key(pushed, &new_key);
    push(process, pushed, pushed);
    EVP_PKEY_free(pushed);
    for (int i = 0; i < CERT_TRIAL_LIMIT; i++) {
        process_refused(process);
    }
    process_connected(process);
    assert_said(&process->device, TOPIC_STATUS, "state", "connected");
    assert_key_is(process, &new_key, GONE);
    assert_key_is(process, &old_key, IN_USE);
}

static void test_a_push_that_is_refused_leaves_nothing(void **state)
{
    device_process_t *process = *state;
    for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
        needles_t key;
        EVP_PKEY *pushed = make_key(is_rsa);
        EVP_PKEY *certified = pki_ec_key("P-256");
        if (is_rsa == 0) {
            enroll(process, &key);
        }
        needles_of_key(pushed, &key);
        push(process, pushed, certified);
        assert_said(&process->device, TOPIC_STATUS, "code", "key_mismatch");
        assert_key_is(process, &key, GONE);
        EVP_PKEY_free(pushed);
        EVP_PKEY_free(certified);
    }
}

static void test_a_message_that_breaks_off_behind_the_key_leaves_nothing(void **state)
{
    device_process_t *process = *state;
    static const char *const ends[] = {"\",oops", "\"", "", "\",\"x\":\"\\ud800\"}", "\",\"rotation_id\":7}"};
    needles_t key;
    enroll(process, &key);
    for (size_t i = 0; i < COUNT(ends); i++) {
        EVP_PKEY *pushed = pki_ec_key("P-256");
        char *key_pem = pki_key_pem(pushed);
        char *payload;
        for (char *c = strchr(key_pem, '\n'); c != NULL; c = strchr(c, '\n')) {
            *c = ' ';
        }
        assert_true(asprintf(&payload, "{\"new_certificate\":\"\",\"new_private_key\":\"%s%s", key_pem, ends[i]) > 0);
        needles_of_key(pushed, &key);
        process_receive(process, TOPIC_ROTATE, payload);
        assert_said(&process->device, TOPIC_STATUS, "code", "bad_message");
        assert_key_is(process, &key, GONE);
        free(key_pem);
        EVP_PKEY_free(pushed);
    }
}

#define WITH_PROCESS(test) cmocka_unit_test_setup_teardown(test, device_process_setup, device_process_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_that_is_planted_is_found_wherever_that_is),
        WITH_PROCESS(test_enrolment_leaves_the_key_of_the_identity_in_use_only),
        WITH_PROCESS(test_a_rotation_by_csr_leaves_the_new_key_only),
        WITH_PROCESS(test_a_rotation_to_rsa_leaves_the_new_key_only),
        cmocka_unit_test(test_a_pushed_rotation_leaves_the_new_key_only),
        WITH_PROCESS(test_a_trial_that_is_rolled_back_leaves_nothing),
        WITH_PROCESS(test_a_push_that_is_refused_leaves_nothing),
        WITH_PROCESS(test_a_message_that_breaks_off_behind_the_key_leaves_nothing),
    };
    return RUN_TESTS(tests);
}
