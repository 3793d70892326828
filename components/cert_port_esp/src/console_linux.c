/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "console.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cert_mgmt/cert_console.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

#define POLL_MS 20
#define STACK_SIZE 4096

static struct {
    char text[CERT_CONSOLE_LINE_MAX + 2]; /* one more than allowed: cert_console_run() refuses what is too long */
    size_t len;
} s_line;

static void take(char c)
{
    if (c != '\n') {
        if (s_line.len < sizeof(s_line.text) - 1) {
            s_line.text[s_line.len++] = c;
        }
        return;
    }
    s_line.text[s_line.len] = '\0';
    s_line.len = 0;
    char *line = strdup(s_line.text);
    if (line == NULL || !console_post(line)) {
        puts("error: busy, try again");
    }
}

/** A blocking read would hold up the simulated scheduler. */
static bool has_input(void)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    return poll(&input, 1, 0) == 1;
}

static void read_lines(void *arg)
{
    (void)arg;
    char c;
    ssize_t got = 1;
    while (got != 0) {
        while (has_input() && (got = read(STDIN_FILENO, &c, 1)) == 1) {
            take(c);
        }
        vTaskDelay(pdMS_TO_TICKS(POLL_MS));
    }
    vTaskDelete(NULL); /* the end of standard input */
}

esp_err_t console_start(void)
{
    return xTaskCreate(read_lines, "console", STACK_SIZE, NULL, tskIDLE_PRIORITY + 1, NULL) == pdPASS ? ESP_OK
                                                                                                      : ESP_ERR_NO_MEM;
}
