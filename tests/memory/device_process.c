/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "device_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testing.h"

#define STACK_DEPTH 4096

typedef enum {
    DEED_BOOT,
    DEED_CONNECTED,
    DEED_REFUSED,
    DEED_MESSAGE,
    DEED_PLANT,
} deed_kind_t;

typedef struct {
    deed_kind_t kind;
    plant_t plant;
    char topic[CERT_TOPIC_MAX];
    size_t len; /* of the payload that follows */
} deed_t;

/* ---------------------------------------------------------------- in the device's process */

static cert_agent_t s_agent;
static uint8_t s_planted[CERT_KEY_MAX];
static uint64_t s_now_ms;
static int s_deeds;
static int s_done;

static bool read_all(int fd, void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t got = read(fd, (uint8_t *)data + done, len - done);
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

static void boot(device_process_t *process)
{
    test_device_t *device = &process->device;
    device->config.bootstrap_chain_pem = process->bootstrap_pem;
    device->config.bootstrap_key = (const uint8_t *)process->bootstrap_key_pem;
    device->config.bootstrap_key_len = strlen(process->bootstrap_key_pem) + 1;
    device->config.anchors_pem = process->anchors_pem;
    process->identity_key = (uintptr_t)s_agent.identity.key;
    if (cert_agent_init(&s_agent, &device->config, &device->port) != CERT_OK ||
        cert_agent_boot(&s_agent, s_now_ms) != CERT_OK) {
        _exit(3);
    }
}

static void receive(const device_process_t *process, const deed_t *deed)
{
    uint8_t *payload = malloc(deed->len);
    if (payload == NULL || !read_all(s_deeds, payload, deed->len)) {
        _exit(3);
    }
    cert_agent_message(&s_agent, process->device.fake.connect.connection, deed->topic, payload, deed->len, s_now_ms);
    free(payload);
}

/** For the optimiser: the copy that was made is looked at, by somebody it cannot see. */
static void keep(const uint8_t *copy)
{
    __asm__ volatile("" ::"r"(copy) : "memory");
}

__attribute__((noinline)) static void leave_on_stack(void)
{
    uint8_t frame[STACK_DEPTH];
    memcpy(frame, s_agent.identity.key, CERT_KEY_MAX);
    keep(frame);
}

static void plant(plant_t where)
{
    const cert_identity_t *identity = &s_agent.identity;
    uint8_t *heap = malloc(identity->key_len);
    if (heap == NULL) {
        _exit(3);
    }
    switch (where) {
    case PLANT_IN_DATA:
        memcpy(s_planted, identity->key, identity->key_len);
        keep(s_planted);
        break;
    case PLANT_IN_HEAP:
        memcpy(heap, identity->key, identity->key_len);
        keep(heap);
        return; /* and never freed */
    case PLANT_IN_FREED_HEAP:
        memcpy(heap, identity->key, identity->key_len);
        keep(heap);
        break;
    default:
        leave_on_stack();
        break;
    }
    free(heap);
}

static void carry_out(device_process_t *process, const deed_t *deed)
{
    uint32_t connection = process->device.fake.connect.connection;
    switch (deed->kind) {
    case DEED_BOOT:
        boot(process);
        break;
    case DEED_CONNECTED:
        cert_agent_connected(&s_agent, connection, s_now_ms);
        break;
    case DEED_REFUSED:
        cert_agent_disconnected(&s_agent, connection, CERT_FAILURE_IDENTITY_REFUSED, NULL, s_now_ms);
        s_now_ms += cert_agent_tick(&s_agent, s_now_ms);
        break;
    case DEED_MESSAGE:
        receive(process, deed);
        break;
    case DEED_PLANT:
        plant(deed->plant);
        return;
    }
    cert_agent_tick(&s_agent, s_now_ms);
    process->phase = s_agent.phase;
}

static _Noreturn void live(device_process_t *process)
{
    deed_t deed;
    char done = 0;
    while (read_all(s_deeds, &deed, sizeof(deed))) {
        carry_out(process, &deed);
        if (write(s_done, &done, 1) != 1) {
            break;
        }
    }
    _exit(0);
}

/* ---------------------------------------------------------------- in the test's */

static void order(const device_process_t *process, const deed_t *deed, const char *payload)
{
    char done;
    assert_int_equal(write(process->deeds, deed, sizeof(*deed)), sizeof(*deed));
    assert_int_equal(write(process->deeds, payload, deed->len), deed->len);
    assert_int_equal(read(process->done, &done, 1), 1);
}

static void start(device_process_t *process)
{
    int deeds[2];
    int done[2];
    assert_int_equal(pipe(deeds), 0);
    assert_int_equal(pipe(done), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(deeds[1]);
        close(done[0]);
        s_deeds = deeds[0];
        s_done = done[1];
        live(process);
    }
    close(deeds[0]);
    close(done[1]);
    process->pid = pid;
    process->deeds = deeds[1];
    process->done = done[0];
}

int device_process_setup(void **state)
{
    device_process_t *process =
        mmap(NULL, sizeof(*process), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(process != MAP_FAILED);
    start(process); /* before there is any key that it could inherit */
    test_device_t *device = &process->device;
    test_device_prepare(device);
    snprintf(process->bootstrap_pem, sizeof(process->bootstrap_pem), "%s", device->pki.bootstrap_pem);
    snprintf(process->bootstrap_key_pem, sizeof(process->bootstrap_key_pem), "%s", device->pki.bootstrap_key_pem);
    snprintf(process->anchors_pem, sizeof(process->anchors_pem), "%s", device->pki.anchors_pem);
    order(process, &(deed_t){.kind = DEED_BOOT}, "");
    *state = process;
    return 0;
}

int device_process_teardown(void **state)
{
    device_process_t *process = *state;
    int status;
    close(process->deeds);
    close(process->done);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    assert_int_equal(status, 0);
    pki_free(&process->device.pki);
    return munmap(process, sizeof(*process));
}

void process_connected(device_process_t *process)
{
    assert_int_equal(process->phase, CERT_PHASE_CONNECTING);
    order(process, &(deed_t){.kind = DEED_CONNECTED}, "");
}

void process_refused(device_process_t *process)
{
    assert_int_equal(process->phase, CERT_PHASE_CONNECTING);
    order(process, &(deed_t){.kind = DEED_REFUSED}, "");
}

void process_receive(device_process_t *process, const char *topic, char *payload)
{
    deed_t deed = {.kind = DEED_MESSAGE, .len = strlen(payload)};
    snprintf(deed.topic, sizeof(deed.topic), "%s", topic);
    order(process, &deed, payload);
    free(payload);
}

void process_plant(device_process_t *process, plant_t where)
{
    order(process, &(deed_t){.kind = DEED_PLANT, .plant = where}, "");
}
