/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define BOOT_RAM "boot_ram"

static bool complain(const char *what, const char *path)
{
    fprintf(stderr, "cert_agent: %s %s: %s\n", what, path, strerror(errno));
    return false;
}

/** Find out where the state directory is to be. */
static bool locate(char *path, size_t cap)
{
    const char *base = getenv("CERT_AGENT_HOME");
    const char *below = "";
    if (base == NULL) {
        base = getenv("XDG_STATE_HOME");
        below = "/cert_agent";
    }
    if (base == NULL) {
        base = getenv("HOME");
        below = "/.local/state/cert_agent";
    }
    if (base == NULL || base[0] == '\0') {
        fprintf(stderr, "cert_agent: no state directory: set CERT_AGENT_HOME to a directory for this device\n");
        return false;
    }
    if ((size_t)snprintf(path, cap, "%s%s", base, below) >= cap) {
        fprintf(stderr, "cert_agent: the path of the state directory is too long: %s\n", base);
        return false;
    }
    return true;
}

/** mkdir -p, everything 0700. */
static bool make_path(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made) {
            return false;
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool take_lock(state_dir_t *state)
{
    state->lock = openat(state->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (state->lock < 0) {
        return complain("cannot write to the state directory", state->path);
    }
    if (flock(state->lock, LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    if (errno == EWOULDBLOCK) {
        fprintf(stderr, "cert_agent: another agent already is the device in %s; stop it, or set CERT_AGENT_HOME\n",
                state->path);
        return false;
    }
    return complain("cannot lock the state directory", state->path);
}

static bool open_contents(state_dir_t *state)
{
    char store[PATH_MAX + 8];
    snprintf(store, sizeof(store), "%s/store", state->path);
    if (storage_open(&state->storage, store) != CERT_OK) {
        return complain("cannot use the store", store);
    }
    state->boot_ram = boot_ram_map(state->dir, BOOT_RAM);
    if (state->boot_ram == NULL) {
        storage_close(&state->storage);
        return complain("cannot map " BOOT_RAM " in", state->path);
    }
    return true;
}

bool state_dir_open(state_dir_t *state)
{
    if (!locate(state->path, sizeof(state->path))) {
        return false;
    }
    if (!make_path(state->path)) {
        return complain("cannot make the state directory", state->path);
    }
    state->dir = open(state->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state->dir < 0) {
        return complain("cannot open the state directory", state->path);
    }
    state->lock = -1;
    if (!take_lock(state) || !open_contents(state)) {
        close(state->lock);
        close(state->dir);
        return false;
    }
    return true;
}

void state_dir_close(state_dir_t *state)
{
    munmap(state->boot_ram, sizeof(*state->boot_ram));
    storage_close(&state->storage);
    close(state->dir);
    close(state->lock);
}

cert_status_t state_dir_power_cycle(state_dir_t *state)
{
    if (!boot_ram_lose(state->dir, BOOT_RAM)) {
        log_printf(CERT_LOG_ERROR, "cannot remove " BOOT_RAM ": %s", strerror(errno));
        return CERT_ERR_STORAGE;
    }
    return CERT_OK;
}
