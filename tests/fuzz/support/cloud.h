/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The other side: says what the real cloud says, to a device that has asked or has not, with certificates out of
 *        the pool.
 */
#pragma once

#include "pool.h"
#include "world.h"

/** @brief Trust anchor updates there are. Those before CLOUD_TRUST_GOOD_COUNT are signed by the root. */
typedef enum {
    CLOUD_TRUST_ROOT_1,        /* the root alone, version 1 */
    CLOUD_TRUST_ROOT_7,
    CLOUD_TRUST_TWO_2,         /* the root and the issuing CA, version 2 */
    CLOUD_TRUST_TWO_8,
    CLOUD_TRUST_GOOD_COUNT,
    CLOUD_TRUST_BY_FOREIGN = CLOUD_TRUST_GOOD_COUNT, /* signed by a root that is not ours */
    CLOUD_TRUST_OTHER_VERSION, /* the signature is over another version */
    CLOUD_TRUST_VARIANTS,
} cloud_trust_t;

/** @brief A message of the cloud. */
typedef struct {
    char topic[CERT_TOPIC_MAX];
    char payload[CERT_MESSAGE_MAX + 1];
} cloud_message_t;

/*
 * Each writes one message.
 */

/** @brief A certificate for the key of the last request; false if there is none, or its key is not of the pool. */
bool cloud_answer(world_t *world, bool enrolling, pool_variant_t variant, cloud_message_t *message);

/** @brief The last request is turned down. */
bool cloud_reject(world_t *world, bool enrolling, const char *code, uint32_t retry_after_s, cloud_message_t *message);

/** @brief Asks for a new key, or the same one, and a request for it. */
void cloud_rotate(const char *rotation_id, const char *key, cloud_message_t *message);

/** @brief A certificate and a key, which belong together or do not. @param rotation_id  NULL: none */
void cloud_push(const char *rotation_id, const pool_certificate_t *certificate, const pool_key_t *key,
                cloud_message_t *message);

/** @brief The certificate of this connection is confirmed; or another one, if `wrong`. */
void cloud_commit(const world_t *world, bool wrong, cloud_message_t *message);

/** @brief New trust anchors. */
void cloud_trust(cloud_trust_t variant, cloud_message_t *message);

/** @brief What a cloud that works does next: lets time pass, accepts the connection, answers, confirms. */
void cloud_help(world_t *world, pool_variant_t variant);
