/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "event_queue.h"

#include <stdlib.h>

#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "mbedtls/platform_util.h"

#define QUEUE_LENGTH 16

/*
 * Kept free for news of connections: two for each, and the agent may have moved on to the next connection before it
 * reads them.
 */
#define RESERVED_FOR_CONNECTIONS 8

static QueueHandle_t s_queue;

bool event_queue_init(void)
{
    s_queue = xQueueCreate(QUEUE_LENGTH, sizeof(event_t));
    return s_queue != NULL;
}

static bool has_room(event_type_t type)
{
    bool about_connection = type == EVENT_CONNECTED || type == EVENT_DISCONNECTED;
    return about_connection || uxQueueSpacesAvailable(s_queue) > RESERVED_FOR_CONNECTIONS;
}

bool event_queue_post(const event_t *event)
{
    if (has_room(event->type) && xQueueSend(s_queue, event, 0) == pdTRUE) {
        return true;
    }
    event_t dropped = *event;
    event_dispose(&dropped);
    return false;
}

bool event_queue_take(event_t *event, uint32_t timeout_ms)
{
    /* Rounded up: a wait of less than a tick must not become a busy loop. */
    TickType_t ticks = pdMS_TO_TICKS(timeout_ms) + (timeout_ms > 0 ? 1 : 0);
    return xQueueReceive(s_queue, event, ticks) == pdTRUE;
}

event_message_t *event_message_new(size_t len)
{
    event_message_t *message = malloc(sizeof(*message) + len);
    if (message != NULL) {
        message->topic[0] = '\0';
        message->len = len;
    }
    return message;
}

void event_message_free(event_message_t *message)
{
    if (message != NULL) {
        mbedtls_platform_zeroize(message->payload, message->len);
        free(message);
    }
}

void event_dispose(event_t *event)
{
    if (event->type == EVENT_MESSAGE) {
        event_message_free(event->message);
    } else if (event->type == EVENT_CONSOLE_LINE) {
        free(event->line);
    }
}
