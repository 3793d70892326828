/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "boot_ram.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

cert_boot_ram_t *boot_ram_map(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return NULL;
    }
    void *ram = MAP_FAILED;
    if (ftruncate(fd, sizeof(cert_boot_ram_t)) == 0) {
        ram = mmap(NULL, sizeof(cert_boot_ram_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    int error = errno;
    close(fd);
    errno = error;
    return ram == MAP_FAILED ? NULL : ram;
}

bool boot_ram_lose(int dir, const char *name)
{
    return unlinkat(dir, name, 0) == 0 || errno == ENOENT;
}
