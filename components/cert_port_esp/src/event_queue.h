/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What has happened elsewhere and waits for the agent's task.
 *
 * Posting never blocks: the MQTT task posts while it holds esp-mqtt's lock, which the agent's task takes to publish.
 * When the queue fills up, messages and console lines are dropped and news of the connection still find room.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_limits.h"
#include "cert_mgmt/cert_port.h"

/** @brief A message that has arrived; one block of memory from event_message_new(). */
typedef struct {
    char topic[CERT_TOPIC_MAX];
    size_t len;
    uint8_t payload[];
} event_message_t;

/** @brief What can happen. */
typedef enum {
    EVENT_CONNECTED,
    EVENT_DISCONNECTED,
    EVENT_DELIVERED, /*!< The server has acknowledged all that was published so far */
    EVENT_MESSAGE,
    EVENT_CONSOLE_LINE,
    EVENT_NETWORK, /*!< There may be a network now, or none any more */
} event_type_t;

/** @brief One event. Whoever takes it out of the queue ends it with event_dispose(). */
typedef struct {
    event_type_t type;
    uint32_t connection; /*!< The connection it is about; none for a console line or the network */
    union {
        struct {
            cert_failure_t why;
            char detail[64];
        } disconnected;
        event_message_t *message;
        char *line; /*!< On the heap */
    };
} event_t;

/** @brief Make the queue. Returns false when there is no memory. */
bool event_queue_init(void);

/**
 * @brief Put an event into the queue, which owns it from now on, whatever happens. Returns false if it had to be
 * dropped.
 */
bool event_queue_post(const event_t *event);

/** @brief Wait for the next event. Returns false when there is none within `timeout_ms`. */
bool event_queue_take(event_t *event, uint32_t timeout_ms);

/** @brief Memory for a message; NULL when there is none. */
event_message_t *event_message_new(size_t len);

/** @brief Wipe and free a message; it may hold a private key. NULL is allowed. */
void event_message_free(event_message_t *message);

/** @brief Free what an event owns. */
void event_dispose(event_t *event);
