/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "line_reader.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static line_result_t end_line(line_reader_t *reader)
{
    line_result_t result = reader->too_long ? LINE_TOO_LONG : LINE_READY;
    if (reader->len > 0 && reader->text[reader->len - 1] == '\r') {
        reader->len--;
    }
    reader->text[reader->len] = '\0';
    reader->len = 0;
    reader->too_long = false;
    return result;
}

static void take(line_reader_t *reader, char c)
{
    if (reader->len < CERT_CONSOLE_LINE_MAX) {
        reader->text[reader->len++] = c;
    } else {
        reader->too_long = true;
    }
}

line_result_t line_reader_read(line_reader_t *reader)
{
    struct pollfd ready = {.fd = reader->fd, .events = POLLIN};
    do {
        char c;
        ssize_t got = read(reader->fd, &c, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
            return LINE_NONE;
        }
        if (got <= 0) {
            reader->fd = -1;
            return LINE_CLOSED;
        }
        if (c == '\n') {
            return end_line(reader);
        }
        take(reader, c);
    } while (poll(&ready, 1, 0) == 1);
    return LINE_NONE;
}
