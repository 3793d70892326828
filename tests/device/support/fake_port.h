/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A platform in RAM: a store that can fail or lose power at any write, a clock that is set by hand, and a record
 * of all that the core asked for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cert_mgmt/cert_port.h"

#define FAKE_VALUES_MAX 8
#define FAKE_VALUE_MAX 8192
#define FAKE_PUBLISHED_MAX 64
#define FAKE_SUBSCRIBED_MAX 16
#define FAKE_LOG_MAX 256

/** @brief One stored value. */
typedef struct {
    char key[16]; /* "" = free */
    uint8_t data[FAKE_VALUE_MAX];
    size_t len;
} fake_value_t;

/** @brief One message the core has published. */
typedef struct {
    char topic[CERT_TOPIC_MAX];
    char payload[CERT_MESSAGE_MAX + 1];
} fake_message_t;

/** @brief A connection the core has asked for. */
typedef struct {
    uint32_t connection;
    cert_identity_kind_t identity;
    char client_id[CERT_DEVICE_ID_MAX + 1];
    char chain_pem[CERT_CHAIN_PEM_MAX + 1];
    cert_key_kind_t key_kind;
    uint8_t key[CERT_KEY_MAX];
    size_t key_len;
    char anchors_pem[CERT_CHAIN_PEM_MAX + 1];
} fake_connect_t;

/** @brief The platform. Start with fake_port_init(). */
typedef struct {
    /* The medium */
    fake_value_t values[FAKE_VALUES_MAX];
    unsigned changes;           /* writes and erases carried out */
    cert_status_t read_status;  /* what every read returns, if not CERT_OK */
    cert_status_t write_status; /* what every write and erase returns, if not CERT_OK */
    const char *unwritable_key; /* the one value that cannot be written or erased; NULL: none */
    int power_left;             /* changes until the power goes; -1: never */
    bool power_lost;            /* nothing has any effect any more */
    cert_boot_ram_t boot_ram;

    /* The clock */
    int64_t clock;

    /* What the core asked for, since the last fake_port_forget() */
    fake_connect_t connect; /* the last one */
    unsigned connects;
    unsigned disconnects;
    unsigned restarts;
    fake_message_t published[FAKE_PUBLISHED_MAX];
    unsigned published_count;
    cert_status_t publish_status; /* what every publish returns */
    char subscribed[FAKE_SUBSCRIBED_MAX][CERT_TOPIC_MAX];
    unsigned subscribed_count;
    char log[FAKE_LOG_MAX][CERT_LOG_LINE_MAX];
    unsigned log_count;

    uint32_t random_state;
} fake_port_t;

/** @brief An empty medium, power that stays, the clock at TEST_NOW. */
void fake_port_init(fake_port_t *fake);

/** @brief The port whose functions work on `fake`. */
cert_port_t fake_port_make(fake_port_t *fake);

/** @brief A fake platform and the port to it: all that a test of one small part of the core needs. */
typedef struct {
    fake_port_t fake;
    cert_port_t port;
} fake_platform_t;

/** @brief cmocka set-up and tear-down: *state becomes a fake_platform_t. */
int fake_platform_setup(void **state);
int fake_platform_teardown(void **state);

/** A cmocka test of such a part. */
#define ON_FAKE_PLATFORM(test) cmocka_unit_test_setup_teardown(test, fake_platform_setup, fake_platform_teardown)

/** @brief Forget what was asked for; keep the medium. */
void fake_port_forget(fake_port_t *fake);

/** @brief The stored value of a key, NULL if there is none. */
fake_value_t *fake_port_value(fake_port_t *fake, const char *key);

/** @brief The last message published on a topic, NULL if there is none. */
const char *fake_port_last_message(const fake_port_t *fake, const char *topic);

/** @brief How many messages were published on a topic. */
unsigned fake_port_count_messages(const fake_port_t *fake, const char *topic);

/** @brief Was this topic subscribed to? */
bool fake_port_is_subscribed(const fake_port_t *fake, const char *topic);

/** @brief Does any line of the log contain `text`? */
bool fake_port_has_logged(const fake_port_t *fake, const char *text);
