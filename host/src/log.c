/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

cert_log_level_t log_level = CERT_LOG_INFO;

static uint64_t s_started_ms;

uint64_t log_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void log_init(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    s_started_ms = log_clock_ms();
}

void log_line(cert_log_level_t level, const char *tag, const char *text)
{
    static const char letters[] = {'E', 'W', 'I', 'D'};
    if (level <= log_level) {
        printf("%c (%" PRIu64 ") %s: %s\n", letters[level], log_clock_ms() - s_started_ms, tag, text);
    }
}

void log_printf(cert_log_level_t level, const char *format, ...)
{
    char text[CERT_LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_line(level, "cert_agent", text);
}
