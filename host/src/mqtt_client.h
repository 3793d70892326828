/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief One MQTT 3.1.1 connection over mutual TLS at a time, driven by poll(): libmosquitto with an OpenSSL context of
 * ours.
 *
 * Requests (connect, disconnect) are only noted and carried out by mqtt_client_service(), which is also the only place
 * that reports events: so requests may be made from within an event.
 */
#pragma once

#include <poll.h>
#include <stdint.h>

#include "cert_mgmt/cert_port.h"

/** @brief Whom to tell. An event carries the number of its connection (cert_connect_t::connection). */
typedef struct {
    void *ctx;
    void (*connected)(void *ctx, uint32_t connection);
    void (*disconnected)(void *ctx, uint32_t connection, cert_failure_t why, const char *detail);
    /** All that was published so far has been acknowledged. */
    void (*delivered)(void *ctx, uint32_t connection);
    /** `payload` is wiped after the call. */
    void (*message)(void *ctx, uint32_t connection, const char *topic, uint8_t *payload, size_t len);
} mqtt_events_t;

/** @brief A client. */
typedef struct mqtt_client mqtt_client_t;

/** @brief Make a client. @return NULL when out of memory */
mqtt_client_t *mqtt_client_new(const mqtt_events_t *events);

/** @brief End the connection, politely if that takes no waiting, and release the client. */
void mqtt_client_free(mqtt_client_t *client);

/**
 * @brief Connect; ends what is open first.
 * @param request  Copied; what it points to must stay valid until the next call of this function.
 * @param host     Host name or numeric address; copied.
 */
void mqtt_client_connect(mqtt_client_t *client, const cert_connect_t *request, const char *host, uint16_t port);

/** @brief End the connection. No event follows. */
void mqtt_client_disconnect(mqtt_client_t *client);

/** @brief Subscribe with QoS 1. Does nothing while not connected. */
void mqtt_client_subscribe(mqtt_client_t *client, const char *topic);

/**
 * @brief Publish with QoS 1.
 * @return CERT_OK, CERT_ERR_STORAGE_FULL (out of memory), CERT_ERR_INTERNAL (not connected)
 */
cert_status_t mqtt_client_publish(mqtt_client_t *client, const char *topic, const char *payload, size_t len);

/**
 * @brief Say what to poll for.
 * @param[out] pfd  Its fd is -1 if there is nothing to poll.
 * @return Milliseconds after which to call mqtt_client_service() even if nothing happens
 */
uint32_t mqtt_client_prepare(mqtt_client_t *client, struct pollfd *pfd, uint64_t now_ms);

/** @brief Do what can be done without waiting. Call it after every poll(). */
void mqtt_client_service(mqtt_client_t *client, const struct pollfd *pfd, uint64_t now_ms);
