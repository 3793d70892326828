/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fake_port.h"

#include <stdio.h>
#include <stdlib.h>

#include "test_pki.h"
#include "testing.h"

void fake_port_init(fake_port_t *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake->power_left = -1;
    fake->clock = TEST_NOW;
    fake->random_state = 1;
}

void fake_port_forget(fake_port_t *fake)
{
    fake->connects = 0;
    fake->disconnects = 0;
    fake->restarts = 0;
    fake->published_count = 0;
    fake->subscribed_count = 0;
    fake->log_count = 0;
}

fake_value_t *fake_port_value(fake_port_t *fake, const char *key)
{
    for (size_t i = 0; i < FAKE_VALUES_MAX; i++) {
        if (strcmp(fake->values[i].key, key) == 0) {
            return &fake->values[i];
        }
    }
    return NULL;
}

const char *fake_port_last_message(const fake_port_t *fake, const char *topic)
{
    for (unsigned i = fake->published_count; i > 0; i--) {
        if (strcmp(fake->published[i - 1].topic, topic) == 0) {
            return fake->published[i - 1].payload;
        }
    }
    return NULL;
}

unsigned fake_port_count_messages(const fake_port_t *fake, const char *topic)
{
    unsigned count = 0;
    for (unsigned i = 0; i < fake->published_count; i++) {
        count += strcmp(fake->published[i].topic, topic) == 0;
    }
    return count;
}

bool fake_port_is_subscribed(const fake_port_t *fake, const char *topic)
{
    for (unsigned i = 0; i < fake->subscribed_count; i++) {
        if (strcmp(fake->subscribed[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

bool fake_port_has_logged(const fake_port_t *fake, const char *text)
{
    for (unsigned i = 0; i < fake->log_count; i++) {
        if (strstr(fake->log[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- the port's functions */

static cert_status_t kv_read(void *ctx, const char *key, uint8_t *buf, size_t cap, size_t *len)
{
    fake_port_t *fake = ctx;
    *len = 0;
    if (fake->read_status != CERT_OK) {
        return fake->read_status;
    }
    const fake_value_t *value = fake_port_value(fake, key);
    if (value == NULL) {
        return CERT_ERR_NOT_FOUND;
    }
    if (value->len > cap) {
        return CERT_ERR_TOO_LARGE;
    }
    memcpy(buf, value->data, value->len);
    *len = value->len;
    return CERT_OK;
}

/** May this change be carried out? Once the power is gone, nothing is. */
static cert_status_t begin_change(fake_port_t *fake, const char *key)
{
    if (fake->unwritable_key != NULL && strcmp(key, fake->unwritable_key) == 0) {
        return CERT_ERR_STORAGE;
    }
    if (fake->power_left == 0) {
        fake->power_lost = true;
    }
    if (fake->power_lost) {
        return CERT_ERR_STORAGE;
    }
    if (fake->write_status != CERT_OK) {
        return fake->write_status;
    }
    fake->power_left -= fake->power_left > 0;
    fake->changes++;
    return CERT_OK;
}

static cert_status_t kv_write(void *ctx, const char *key, const uint8_t *data, size_t len)
{
    fake_port_t *fake = ctx;
    cert_status_t status = begin_change(fake, key);
    if (status != CERT_OK) {
        return status;
    }
    assert_in_range(strlen(key), 1, 15);
    assert_true(len <= FAKE_VALUE_MAX);
    fake_value_t *value = fake_port_value(fake, key);
    if (value == NULL) {
        value = fake_port_value(fake, "");
        assert_non_null(value);
        snprintf(value->key, sizeof(value->key), "%s", key);
    }
    memcpy(value->data, data, len);
    value->len = len;
    return CERT_OK;
}

static cert_status_t kv_erase(void *ctx, const char *key)
{
    fake_port_t *fake = ctx;
    cert_status_t status = begin_change(fake, key);
    fake_value_t *value = fake_port_value(fake, key);
    if (status == CERT_OK && value != NULL) {
        memset(value, 0, sizeof(*value));
    }
    return status;
}

static cert_boot_ram_t *boot_ram(void *ctx)
{
    fake_port_t *fake = ctx;
    return &fake->boot_ram;
}

static int64_t wall_clock(void *ctx)
{
    const fake_port_t *fake = ctx;
    return fake->clock;
}

/** Not random at all: the same in every run. */
static void fill_random(void *ctx, uint8_t *buf, size_t len)
{
    fake_port_t *fake = ctx;
    for (size_t i = 0; i < len; i++) {
        fake->random_state = fake->random_state * 1664525u + 1013904223u;
        buf[i] = (uint8_t)(fake->random_state >> 24);
    }
}

static void connect_fake(void *ctx, const cert_connect_t *request)
{
    fake_port_t *fake = ctx;
    if (fake->power_lost) {
        return;
    }
    fake_connect_t *connect = &fake->connect;
    memset(connect, 0, sizeof(*connect));
    connect->connection = request->connection;
    connect->identity = request->identity;
    assert_true(request->key_len <= sizeof(connect->key));
    memcpy(connect->key, request->key, request->key_len);
    connect->key_len = request->key_len;
    connect->key_kind = request->key_kind;
    snprintf(connect->client_id, sizeof(connect->client_id), "%s", request->client_id);
    snprintf(connect->chain_pem, sizeof(connect->chain_pem), "%s", request->chain_pem);
    snprintf(connect->anchors_pem, sizeof(connect->anchors_pem), "%s", request->anchors_pem);
    fake->connects++;
}

static void disconnect_fake(void *ctx)
{
    fake_port_t *fake = ctx;
    fake->disconnects++;
}

static void subscribe(void *ctx, const char *topic)
{
    fake_port_t *fake = ctx;
    if (fake_port_is_subscribed(fake, topic)) {
        return;
    }
    assert_true(fake->subscribed_count < FAKE_SUBSCRIBED_MAX);
    snprintf(fake->subscribed[fake->subscribed_count++], CERT_TOPIC_MAX, "%s", topic);
}

static cert_status_t publish(void *ctx, const char *topic, const char *payload, size_t len)
{
    fake_port_t *fake = ctx;
    if (fake->power_lost || fake->publish_status != CERT_OK) {
        return fake->power_lost ? CERT_ERR_INTERNAL : fake->publish_status;
    }
    assert_true(fake->published_count < FAKE_PUBLISHED_MAX);
    assert_true(len <= CERT_MESSAGE_MAX);
    fake_message_t *message = &fake->published[fake->published_count++];
    snprintf(message->topic, sizeof(message->topic), "%s", topic);
    memcpy(message->payload, payload, len);
    message->payload[len] = '\0';
    return CERT_OK;
}

static void restart(void *ctx)
{
    fake_port_t *fake = ctx;
    fake->restarts++;
}

static void report(void *ctx, cert_log_level_t level, const char *line)
{
    (void)level;
    fake_port_t *fake = ctx;
    assert_true(strlen(line) < CERT_LOG_LINE_MAX);
    snprintf(fake->log[fake->log_count++ % FAKE_LOG_MAX], CERT_LOG_LINE_MAX, "%s", line);
}

cert_port_t fake_port_make(fake_port_t *fake)
{
    return (cert_port_t){
        .ctx = fake,
        .kv_read = kv_read,
        .kv_write = kv_write,
        .kv_erase = kv_erase,
        .boot_ram = boot_ram,
        .wall_clock = wall_clock,
        .random = fill_random,
        .connect = connect_fake,
        .disconnect = disconnect_fake,
        .subscribe = subscribe,
        .publish = publish,
        .restart = restart,
        .log = report,
    };
}

int fake_platform_setup(void **state)
{
    fake_platform_t *platform = calloc(1, sizeof(*platform));
    fake_port_init(&platform->fake);
    platform->port = fake_port_make(&platform->fake);
    *state = platform;
    return 0;
}

int fake_platform_teardown(void **state)
{
    free(*state);
    return 0;
}
