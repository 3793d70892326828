/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "failing_heap.h"

#include <stddef.h>

#include "cert_mgmt/cert_agent.h"

/* glibc's own; what is defined below takes their place in every library of the process. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool s_in_core;
static unsigned s_left;    /* allocations until the one that is refused; 0: none */
static bool s_all_after;   /* and those after it */
static bool s_has_refused;

static bool is_refused(void)
{
    if (!s_in_core || s_left == 0) {
        return false;
    }
    if (s_left > 1) {
        s_left--;
        return false;
    }
    s_left = s_all_after ? 1 : 0;
    s_has_refused = true;
    return true;
}

void failing_heap_refuse(unsigned number)
{
    s_left = number;
    s_all_after = false;
    s_has_refused = false;
}

void failing_heap_refuse_from(unsigned number)
{
    failing_heap_refuse(number);
    s_all_after = true;
}

bool failing_heap_stop(void)
{
    s_left = 0;
    return s_has_refused;
}

void *malloc(size_t size)
{
    return is_refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return is_refused() ? NULL : __libc_realloc(old, size);
}

/* ---------------------------------------------------------------- the core's entries (CMakeLists.txt, --wrap) */

cert_status_t __real_cert_agent_boot(cert_agent_t *agent, uint64_t now_ms);
cert_status_t __wrap_cert_agent_boot(cert_agent_t *agent, uint64_t now_ms);
void __real_cert_agent_connected(cert_agent_t *agent, uint32_t connection, uint64_t now_ms);
void __wrap_cert_agent_connected(cert_agent_t *agent, uint32_t connection, uint64_t now_ms);
void __real_cert_agent_disconnected(cert_agent_t *agent, uint32_t connection, cert_failure_t why, const char *detail,
                                    uint64_t now_ms);
void __wrap_cert_agent_disconnected(cert_agent_t *agent, uint32_t connection, cert_failure_t why, const char *detail,
                                    uint64_t now_ms);
void __real_cert_agent_message(cert_agent_t *agent, uint32_t connection, const char *topic, uint8_t *payload,
                               size_t len, uint64_t now_ms);
void __wrap_cert_agent_message(cert_agent_t *agent, uint32_t connection, const char *topic, uint8_t *payload,
                               size_t len, uint64_t now_ms);
uint32_t __real_cert_agent_tick(cert_agent_t *agent, uint64_t now_ms);
uint32_t __wrap_cert_agent_tick(cert_agent_t *agent, uint64_t now_ms);

cert_status_t __wrap_cert_agent_boot(cert_agent_t *agent, uint64_t now_ms)
{
    s_in_core = true;
    cert_status_t status = __real_cert_agent_boot(agent, now_ms);
    s_in_core = false;
    return status;
}

void __wrap_cert_agent_disconnected(cert_agent_t *agent, uint32_t connection, cert_failure_t why, const char *detail,
                                    uint64_t now_ms)
{
    s_in_core = true;
    __real_cert_agent_disconnected(agent, connection, why, detail, now_ms);
    s_in_core = false;
}

void __wrap_cert_agent_connected(cert_agent_t *agent, uint32_t connection, uint64_t now_ms)
{
    s_in_core = true;
    __real_cert_agent_connected(agent, connection, now_ms);
    s_in_core = false;
}

void __wrap_cert_agent_message(cert_agent_t *agent, uint32_t connection, const char *topic, uint8_t *payload,
                               size_t len, uint64_t now_ms)
{
    s_in_core = true;
    __real_cert_agent_message(agent, connection, topic, payload, len, now_ms);
    s_in_core = false;
}

uint32_t __wrap_cert_agent_tick(cert_agent_t *agent, uint64_t now_ms)
{
    s_in_core = true;
    uint32_t delay_ms = __real_cert_agent_tick(agent, now_ms);
    s_in_core = false;
    return delay_ms;
}
