/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scan.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "testing.h"

#define MAPPINGS_MAX 128
#define NAME_MAX_LEN 128

typedef struct {
    uintptr_t from;
    size_t len;
    uint8_t *copy;
    char name[NAME_MAX_LEN];
} mapping_t;

struct scan {
    mapping_t mappings[MAPPINGS_MAX];
    size_t count;
};

static void copy_mapping(scan_t *scan, int memory, uintptr_t from, uintptr_t to, const char *name)
{
    assert_true(scan->count < MAPPINGS_MAX);
    mapping_t *mapping = &scan->mappings[scan->count++];
    mapping->from = from;
    mapping->len = to - from;
    mapping->copy = malloc(mapping->len);
    assert_non_null(mapping->copy);
    assert_int_equal(pread(memory, mapping->copy, mapping->len, (off_t)from), mapping->len);
    snprintf(mapping->name, sizeof(mapping->name), "%s", name[0] != '\0' ? name : "memory without a name");
}

scan_t *scan_take(pid_t pid)
{
    char path[64];
    char line[512];
    scan_t *scan = calloc(1, sizeof(*scan));
    assert_non_null(scan);
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    assert_true(memory >= 0 && maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t from;
        uintptr_t to;
        char rights[5];
        char name[NAME_MAX_LEN] = "";
        assert_true(sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %127s", &from, &to, rights, name) >= 3);
        if (rights[0] == 'r' && rights[1] == 'w' && rights[3] == 'p') {
            copy_mapping(scan, memory, from, to, name);
        }
    }
    assert_int_equal(fclose(maps), 0);
    assert_int_equal(close(memory), 0);
    return scan;
}

void scan_free(scan_t *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        free(scan->mappings[i].copy);
    }
    free(scan);
}

size_t scan_size(const scan_t *scan)
{
    size_t size = 0;
    for (size_t i = 0; i < scan->count; i++) {
        size += scan->mappings[i].len;
    }
    return size;
}

static uintptr_t find_in(const mapping_t *mapping, const uint8_t *bytes, size_t len, uintptr_t allowed,
                         size_t allowed_len)
{
    const uint8_t *end = mapping->copy + mapping->len;
    const uint8_t *at = mapping->copy;
    while ((at = memmem(at, (size_t)(end - at), bytes, len)) != NULL) {
        uintptr_t address = mapping->from + (uintptr_t)(at - mapping->copy);
        if (address < allowed || address >= allowed + allowed_len) {
            return address;
        }
        at++;
    }
    return 0;
}

uintptr_t scan_find(const scan_t *scan, const uint8_t *bytes, size_t len, uintptr_t allowed, size_t allowed_len)
{
    for (size_t i = 0; i < scan->count; i++) {
        uintptr_t address = find_in(&scan->mappings[i], bytes, len, allowed, allowed_len);
        if (address != 0) {
            return address;
        }
    }
    return 0;
}

const char *scan_name(const scan_t *scan, uintptr_t address)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (address - scan->mappings[i].from < scan->mappings[i].len) {
            return scan->mappings[i].name;
        }
    }
    return "nowhere";
}
