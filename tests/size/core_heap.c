/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Measures the most heap the core has at any time during an enrolment and during a rotation, and what it keeps
 * afterwards. All of it is mbedTLS's and cJSON's: the core has none of its own. Prints one line each: "<what> <peak
 * bytes> <kept bytes>".
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "test_device.h"
#include "testing.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *old);

static bool s_counting; /* inside a call of the core */
static long s_used;
static long s_peak;

static void note(void *block, int sign)
{
    if (s_counting && block != NULL) {
        s_used += sign * (long)malloc_usable_size(block);
        s_peak = s_used > s_peak ? s_used : s_peak;
    }
}

void *malloc(size_t size)
{
    void *block = __libc_malloc(size);
    note(block, 1);
    return block;
}

void *calloc(size_t count, size_t size)
{
    void *block = __libc_calloc(count, size);
    note(block, 1);
    return block;
}

void *realloc(void *old, size_t size)
{
    note(old, -1);
    void *block = __libc_realloc(old, size);
    note(block, 1);
    return block;
}

void free(void *old)
{
    note(old, -1);
    __libc_free(old);
}

#define COUNTED(call)        \
    do {                     \
        s_counting = true;   \
        call;                \
        s_counting = false;  \
    } while (0)

/* clang-format would have it otherwise; the linker knows these names (CMakeLists.txt, --wrap) */
cert_status_t __real_cert_agent_init(cert_agent_t *agent, const cert_agent_config_t *config, const cert_port_t *port);
cert_status_t __wrap_cert_agent_init(cert_agent_t *agent, const cert_agent_config_t *config, const cert_port_t *port);
cert_status_t __real_cert_agent_boot(cert_agent_t *agent, uint64_t now_ms);
cert_status_t __wrap_cert_agent_boot(cert_agent_t *agent, uint64_t now_ms);
void __real_cert_agent_connected(cert_agent_t *agent, uint32_t connection, uint64_t now_ms);
void __wrap_cert_agent_connected(cert_agent_t *agent, uint32_t connection, uint64_t now_ms);
void __real_cert_agent_message(cert_agent_t *agent, uint32_t connection, const char *topic, uint8_t *payload,
                               size_t len, uint64_t now_ms);
void __wrap_cert_agent_message(cert_agent_t *agent, uint32_t connection, const char *topic, uint8_t *payload,
                               size_t len, uint64_t now_ms);
uint32_t __real_cert_agent_tick(cert_agent_t *agent, uint64_t now_ms);
uint32_t __wrap_cert_agent_tick(cert_agent_t *agent, uint64_t now_ms);

cert_status_t __wrap_cert_agent_init(cert_agent_t *agent, const cert_agent_config_t *config, const cert_port_t *port)
{
    cert_status_t status;
    COUNTED(status = __real_cert_agent_init(agent, config, port));
    return status;
}

cert_status_t __wrap_cert_agent_boot(cert_agent_t *agent, uint64_t now_ms)
{
    cert_status_t status;
    COUNTED(status = __real_cert_agent_boot(agent, now_ms));
    return status;
}

void __wrap_cert_agent_connected(cert_agent_t *agent, uint32_t connection, uint64_t now_ms)
{
    COUNTED(__real_cert_agent_connected(agent, connection, now_ms));
}

void __wrap_cert_agent_message(cert_agent_t *agent, uint32_t connection, const char *topic, uint8_t *payload,
                               size_t len, uint64_t now_ms)
{
    COUNTED(__real_cert_agent_message(agent, connection, topic, payload, len, now_ms));
}

uint32_t __wrap_cert_agent_tick(cert_agent_t *agent, uint64_t now_ms)
{
    uint32_t delay_ms;
    COUNTED(delay_ms = __real_cert_agent_tick(agent, now_ms));
    return delay_ms;
}

static void begin(void)
{
    s_peak = s_used;
}

static void report(const char *what)
{
    printf("%s %ld %ld\n", what, s_peak, s_used);
}

static void rotate(test_device_t *device, const char *rotation_id, const char *order)
{
    const test_leaf_t leaf = pki_good_leaf();
    device_receive(device, TOPIC_ROTATE, order);
    device_receive_from(device, TOPIC_ISSUED, cloud_answer(device, TOPIC_CSR, &leaf));
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, rotation_id));
    assert_said(device, TOPIC_STATUS, "state", "committed");
    fake_port_forget(&device->fake);
}

static void measure(void **state)
{
    test_device_t *device = *state;
    begin();
    device_enroll(device);
    report("enrolment");
    begin();
    rotate(device, "r1", "{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":\"ec-p256\"}");
    report("rotation-ec-p256");
    begin();
    rotate(device, "r2", "{\"rotation_id\":\"r2\",\"mode\":\"csr\",\"key\":\"rsa-2048\"}");
    report("rotation-rsa-2048");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(measure, test_device_setup, test_device_teardown),
    };
    return RUN_TESTS(tests);
}
