/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Lines from a file descriptor, without blocking and without reading past the end of a line: what follows stays
 * in the pipe or terminal, for the program that takes over after a restart.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cert_mgmt/cert_console.h"

/** @brief What line_reader_read() found. */
typedef enum {
    LINE_NONE,     /*!< The line is not complete yet */
    LINE_READY,    /*!< `text` holds a line */
    LINE_TOO_LONG, /*!< A line longer than CERT_CONSOLE_LINE_MAX has ended; it was dropped */
    LINE_CLOSED,   /*!< Nothing more will come */
} line_result_t;

/** @brief A reader; start with {.fd = …} and the rest zero. */
typedef struct {
    int fd; /*!< To poll for input; -1 once closed */
    size_t len;
    bool too_long;
    char text[CERT_CONSOLE_LINE_MAX + 1];
} line_reader_t;

/** @brief Take what is there, up to the end of one line. Call it when poll() reports the descriptor ready. */
line_result_t line_reader_read(line_reader_t *reader);
