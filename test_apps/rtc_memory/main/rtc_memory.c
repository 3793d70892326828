/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Counts its boots as the firmware does while an identity is on trial, and ends in whichever way it is told to.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boot_guard.h"
#include "crash.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "platform.h"

#define COMMAND_MAX 32
#define POLL_MS 20

/* A blocking read would hold up the scheduler of the target linux. */
static char read_char(void)
{
    char c;
    while (read(STDIN_FILENO, &c, 1) != 1) {
        vTaskDelay(pdMS_TO_TICKS(POLL_MS));
    }
    return c;
}

static void read_command(char *command)
{
    size_t len = 0;
    char c;
    while ((c = read_char()) != '\n') {
        if (len < COMMAND_MAX - 1) {
            command[len++] = c;
        }
    }
    command[len] = '\0';
}

static void obey(const char *command)
{
    if (strcmp(command, "restart") == 0) {
        platform_restart();
    } else if (strcmp(command, "clear") == 0) {
        boot_guard_clear(platform_boot_ram());
        puts("rtc_memory: cleared");
    } else {
        crash(crash_from_name(command));
        printf("rtc_memory: cannot %s here\n", command);
    }
}

void app_main(void)
{
    char command[COMMAND_MAX];
    ESP_ERROR_CHECK(platform_init());
    printf("rtc_memory: boots=%" PRIu32 "\n", boot_guard_count(platform_boot_ram()));
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    while (true) {
        read_command(command);
        obey(command);
    }
}
