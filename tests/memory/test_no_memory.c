/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Memory runs out: any one allocation of mbedTLS or cJSON fails, whatever the device is doing. It stays who it was, and
 * when there is memory again it does what it is told.
 */
#include <stdio.h>
#include <stdlib.h>

#include "failing_heap.h"
#include "test_device.h"
#include "testing.h"

/* Every one of the first allocations, and some of the thousands that a signature makes. */
#define DENSE 16
#define next_number(number) ((number) < DENSE ? (number) + 1 : 2 * (number))

/** Something that the device does. Nothing it needs is freed by it. */
typedef void (*deed_t)(test_device_t *device, const char *rotation_id);

static bool is_settled(const test_device_t *device)
{
    return device->agent.phase == CERT_PHASE_ONLINE && device->agent.using == CERT_IDENTITY_OPERATIONAL;
}

/** The cloud lets in whoever comes, answers requests to enrol, and commits. */
static void settle(test_device_t *device)
{
    const test_leaf_t leaf = pki_good_leaf();
    for (int i = 0; i < 20 && !is_settled(device); i++) {
        if (device->agent.phase == CERT_PHASE_WAITING) {
            device_wait(device);
        }
        if (device->agent.phase == CERT_PHASE_CONNECTING) {
            device_connected(device);
        }
        if (device->agent.using == CERT_IDENTITY_TRIAL) {
            device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, device->agent.identity.request_id));
        } else if (fake_port_last_message(&device->fake, TOPIC_ENROLL) != NULL) {
            device_receive_from(device, TOPIC_ACCEPTED, cloud_answer(device, TOPIC_ENROLL, &leaf));
            fake_port_forget(&device->fake);
        } else {
            device_wait(device); /* what was not said is said again */
        }
    }
    assert_true(is_settled(device));
}

static void assert_rotates(test_device_t *device)
{
    uint32_t generation = device->agent.record.generation;
    char id[32];
    snprintf(id, sizeof(id), "after-%u", (unsigned)generation);
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, id));
    settle(device);
    assert_int_equal(device->agent.record.generation, generation + 1);
}

/** The deed, with each allocation in turn refused. */
static void sweep(test_device_t *device, deed_t prepare, deed_t deed)
{
    bool was_refused = true;
    for (unsigned number = 1; was_refused; number = next_number(number)) {
        char id[32];
        snprintf(id, sizeof(id), "rotation-%u", number);
        fake_port_forget(&device->fake);
        prepare(device, id);
        uint32_t generation = device->agent.record.generation;
        failing_heap_refuse(number);
        deed(device, id);
        was_refused = failing_heap_stop();
        settle(device);
        assert_true(device->agent.record.generation >= generation);
        assert_rotates(device);
    }
}

static void do_nothing(test_device_t *device, const char *rotation_id)
{
    (void)device;
    (void)rotation_id;
}

static void order_rotation(test_device_t *device, const char *rotation_id)
{
    char order[128];
    snprintf(order, sizeof(order), "{\"rotation_id\":\"%s\",\"mode\":\"csr\",\"key\":\"ec-p256\"}", rotation_id);
    device_receive(device, TOPIC_ROTATE, order);
}

static void answer_request(test_device_t *device, const char *rotation_id)
{
    (void)rotation_id;
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
}

static void push(test_device_t *device, const char *rotation_id)
{
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, rotation_id));
}

static void go_on_trial(test_device_t *device, const char *rotation_id)
{
    push(device, rotation_id);
    device_connected(device);
}

static void commit(test_device_t *device, const char *rotation_id)
{
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, rotation_id));
}

static void reset(test_device_t *device, const char *rotation_id)
{
    (void)rotation_id;
    assert_int_equal(cert_agent_factory_reset(&device->agent), CERT_OK);
}

static void start_and_connect(test_device_t *device, const char *rotation_id)
{
    (void)rotation_id;
    device_boot(device);
    if (device->agent.phase == CERT_PHASE_CONNECTING) {
        device_connected(device);
    }
}

static void test_an_order_to_rotate(void **state)
{
    sweep(*state, do_nothing, order_rotation);
}

static void test_an_answer_to_a_request(void **state)
{
    sweep(*state, order_rotation, answer_request);
}

static void test_a_pushed_rotation(void **state)
{
    sweep(*state, do_nothing, push);
}

static void test_a_commit(void **state)
{
    sweep(*state, go_on_trial, commit);
}

static void test_a_start(void **state)
{
    sweep(*state, do_nothing, start_and_connect);
}

static void test_an_enrolment(void **state)
{
    sweep(*state, reset, start_and_connect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONLINE(test_an_order_to_rotate), ONLINE(test_an_answer_to_a_request), ONLINE(test_a_pushed_rotation),
        ONLINE(test_a_commit),           ONLINE(test_a_start),                ONLINE(test_an_enrolment),
    };
    return RUN_TESTS(tests);
}
