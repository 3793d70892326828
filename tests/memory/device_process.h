/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A device in a process of its own, which knows no key but those the agent has handled. Its medium and what it
 * said are in memory shared with the test; all the rest of its memory is its own.
 */
#pragma once

#include <sys/types.h>

#include "test_device.h"

/** @brief Where a key can be planted, to see that it is found there. */
typedef enum {
    PLANT_IN_DATA,
    PLANT_IN_HEAP,
    PLANT_IN_FREED_HEAP,
    PLANT_IN_OLD_STACK,
    PLANTS,
} plant_t;

/** @brief The part that is shared, and the process. */
typedef struct {
    test_device_t device; /* but for the agent, and for what `config` points to */
    char bootstrap_pem[CERT_CHAIN_PEM_MAX];
    char bootstrap_key_pem[CERT_KEY_MAX];
    char anchors_pem[CERT_ANCHORS_PEM_MAX];
    uintptr_t identity_key; /* where the agent keeps the key of the identity in use */
    cert_phase_t phase;
    pid_t pid;
    int deeds; /* pipe to the process */
    int done;  /* and back */
} device_process_t;

/** @brief cmocka set-up and tear-down: *state becomes a device_process_t that has been switched on. */
int device_process_setup(void **state);
int device_process_teardown(void **state);

/** @brief The server accepts the connection that was asked for. */
void process_connected(device_process_t *process);

/** @brief The connection is refused, and the next one is asked for. */
void process_refused(device_process_t *process);

/** @brief A message arrives; it is freed. */
void process_receive(device_process_t *process, const char *topic, char *payload);

/** @brief A copy of the key in use is planted. */
void process_plant(device_process_t *process, plant_t where);
