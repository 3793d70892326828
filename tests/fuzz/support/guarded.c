/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "guarded.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "require.h"

uint8_t *guarded_copy(const void *data, size_t len)
{
    static uint8_t *end = NULL;
    if (end == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *memory = mmap(NULL, GUARDED_MAX + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED, "no memory for a guarded buffer");
        end = memory + GUARDED_MAX;
        REQUIRE(mprotect(end, page, PROT_NONE) == 0, "no guard page");
    }
    REQUIRE(len <= GUARDED_MAX, "larger than a guarded buffer");
    uint8_t *copy = end - len;
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}
