/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "esp_log.h"
#include "esp_random.h"
#include "flash_file_linux.h"
#include "platform.h"

static const char *TAG = "cert_agent";
static char s_boot_ram_path[PATH_MAX + sizeof("/boot_ram")];
static cert_boot_ram_t *s_boot_ram;

/**
 * The directory that is this device, as on the plain Linux port: $CERT_AGENT_HOME, or one below the user's state
 * directory.
 */
static const char *state_directory(void)
{
    static char path[PATH_MAX];
    const char *own = getenv("CERT_AGENT_HOME");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (own != NULL) {
        snprintf(path, sizeof(path), "%s", own);
    } else if (state != NULL) {
        snprintf(path, sizeof(path), "%s/cert_agent", state);
    } else {
        snprintf(path, sizeof(path), "%s/.local/state/cert_agent", home != NULL ? home : "");
    }
    return path;
}

/** mkdir -p, everything 0700. */
static bool make_directory(const char *path)
{
    char partial[PATH_MAX];
    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] == '/') {
            snprintf(partial, sizeof(partial), "%.*s", (int)i, path);
            if (mkdir(partial, 0700) != 0 && errno != EEXIST) {
                return false;
            }
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static cert_boot_ram_t *map_boot_ram(void)
{
    int fd = open(s_boot_ram_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return NULL;
    }
    void *ram = MAP_FAILED;
    if (ftruncate(fd, sizeof(*s_boot_ram)) == 0) {
        ram = mmap(NULL, sizeof(*s_boot_ram), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    return ram == MAP_FAILED ? NULL : ram;
}

esp_err_t platform_init(void)
{
    const char *directory = state_directory();
    snprintf(s_boot_ram_path, sizeof(s_boot_ram_path), "%s/boot_ram", directory);
    if (!make_directory(directory) || !flash_file_open(directory) || (s_boot_ram = map_boot_ram()) == NULL) {
        ESP_LOGE(TAG, "cannot use the state directory %s: %s; set CERT_AGENT_HOME to a directory for this device",
                 directory, strerror(errno));
        return ESP_FAIL;
    }
    return ESP_OK;
}

cert_boot_ram_t *platform_boot_ram(void)
{
    return s_boot_ram;
}

bool platform_lose_boot_ram(void)
{
    return unlink(s_boot_ram_path) == 0;
}

void platform_make_id(char *id, size_t cap)
{
    snprintf(id, cap, "linux-%08" PRIx32 "%04" PRIx32, esp_random(), esp_random() & 0xFFFFu);
}

void platform_restart(void)
{
    /* A new process image would inherit the scheduler's timer and blocked signals. */
    const struct itimerval no_timer = { 0 };
    sigset_t no_signals;
    sigemptyset(&no_signals);
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &no_timer, NULL);
    sigprocmask(SIG_SETMASK, &no_signals, NULL);
    fflush(stdout);
    char *const argv[] = { "cert_agent.elf", NULL };
    execv("/proc/self/exe", argv);
    perror("cert_agent: cannot restart");
    _exit(EXIT_FAILURE);
}
