/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "flash_file_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "esp_private/partition_linux.h"
#include "sdkconfig.h"

#define FLASH_SIZE ESP_PARTITION_DEFAULT_EMULATED_FLASH_SIZE
#define TABLE_SIZE_MAX 0xC00

static uint8_t s_flash[FLASH_SIZE];

static bool read_partition_table(uint8_t *table)
{
    FILE *file = fopen(PARTITION_TABLE, "rb");
    if (file == NULL) {
        return false;
    }
    size_t len = fread(table, 1, TABLE_SIZE_MAX, file);
    fclose(file);
    return len > 0;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            data += written;
            len -= (size_t)written;
        }
    }
    return true;
}

/** Make the file under another name first: a flash is whole or not there. */
static bool make_flash(const char *path)
{
    char unfinished[PATH_MAX + sizeof(".new")];
    snprintf(unfinished, sizeof(unfinished), "%s.new", path);
    memset(s_flash, 0xFF, sizeof(s_flash));
    if (!read_partition_table(s_flash + CONFIG_PARTITION_TABLE_OFFSET)) {
        return false;
    }
    int fd = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool written = write_all(fd, s_flash, sizeof(s_flash));
    written = close(fd) == 0 && written;
    return written && rename(unfinished, path) == 0;
}

bool flash_file_open(const char *directory)
{
    esp_partition_file_mmap_ctrl_t *flash = esp_partition_get_file_mmap_ctrl_input();
    snprintf(flash->flash_file_name, sizeof(flash->flash_file_name), "%s/flash", directory);
    return access(flash->flash_file_name, R_OK | W_OK) == 0 || (errno == ENOENT && make_flash(flash->flash_file_name));
}
