/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "console.h"
#include "event_queue.h"
#include "long_call.h"

static bool begins_with(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

bool console_post(char *line)
{
    /* Nobody waits for a key to be made in order to restart. */
    bool ends_work = begins_with(line, "restart") || begins_with(line, "factory-reset");
    const event_t event = { .type = EVENT_CONSOLE_LINE, .line = line };
    bool is_posted = event_queue_post(&event);
    if (is_posted && ends_work) {
        long_call_give_up();
    }
    return is_posted;
}
