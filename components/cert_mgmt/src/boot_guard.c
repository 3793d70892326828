/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "boot_guard.h"

#include <stdbool.h>
#include <stddef.h>

#include "bytes.h"

#define BOOT_RAM_MAGIC 0x43474254u /* "CGBT" */

static uint32_t crc_of(const cert_boot_ram_t *ram)
{
    uint8_t bytes[8];
    bytes_put_u32(bytes, ram->magic);
    bytes_put_u32(bytes + 4, ram->boots);
    return bytes_crc32(bytes, sizeof(bytes));
}

static void set(cert_boot_ram_t *ram, uint32_t boots)
{
    ram->magic = BOOT_RAM_MAGIC;
    ram->boots = boots;
    ram->crc = crc_of(ram);
}

uint32_t boot_guard_count(cert_boot_ram_t *ram)
{
    bool is_ours = ram->magic == BOOT_RAM_MAGIC && ram->crc == crc_of(ram);
    set(ram, is_ours && ram->boots < UINT32_MAX ? ram->boots + 1 : 1);
    return ram->boots;
}

void boot_guard_clear(cert_boot_ram_t *ram)
{
    set(ram, 0);
}
