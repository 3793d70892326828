/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The cloud of one device, with the rules of fleetpki/lifecycle: which certificate is live, what a message
 * changes, what is sent again. It never loses power. Plain data without pointers: a copy of it is another world.
 */
#pragma once

#include <cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "cert_mgmt/cert_limits.h"

#define CLOUD_CERTIFICATES_MAX 96
#define CLOUD_ROTATIONS_MAX 64

/** In place of a certificate's number: no certificate, and the bootstrap certificate. */
#define CLOUD_NONE (-1)
#define CLOUD_BOOTSTRAP (-2)

typedef enum {
    CERTIFICATE_ISSUED,
    CERTIFICATE_ACTIVE,
    CERTIFICATE_SUPERSEDED,
    CERTIFICATE_REVOKED,
} cloud_certificate_state_t;

typedef struct {
    int key;
    int64_t not_before;
    cloud_certificate_state_t state;
    bool was_active;
    bool was_replaced;                         /* revoked because a newer request came */
    int rotation;                              /* that it was made for, or CLOUD_NONE */
    char request_id[CERT_REQUEST_ID_MAX + 1];
} cloud_certificate_t;

/** In the order a rotation goes through. */
typedef enum {
    ROTATION_REQUESTED,
    ROTATION_ACCEPTED,
    ROTATION_ISSUED,
    ROTATION_STAGED,
    ROTATION_COMMITTING,
    ROTATION_COMMITTED,
    ROTATION_REJECTED,
    ROTATION_ROLLED_BACK,
    ROTATION_ABANDONED,
} cloud_rotation_state_t;

typedef enum {
    ROTATE_BY_CSR,      /* on a new key */
    ROTATE_ON_SAME_KEY,
    ROTATE_BY_PUSH,
    ROTATE_BY_DEVICE,   /* a renewal it asked for */
} cloud_rotation_kind_t;

typedef struct {
    char id[CERT_REQUEST_ID_MAX + 1];
    cloud_rotation_kind_t kind;
    cloud_rotation_state_t state;
    bool is_old;                               /* the activation window is over */
    int new_certificate;
} cloud_rotation_t;

/** @brief What the cloud knows. */
typedef struct {
    int64_t now;
    int keys_made;                             /* by the device and the cloud: the next key is the one of this number */
    cloud_certificate_t certificates[CLOUD_CERTIFICATES_MAX];
    int certificate_count;
    cloud_rotation_t rotations[CLOUD_ROTATIONS_MAX];
    int rotation_count;
    bool may_reenroll;
    bool refuses_candidates;                   /* as if an operator had revoked every candidate */
    int commits_to_lose;
    bool says_commit_twice;
    uint32_t trust_version;                    /* as the device has reported it */
    uint32_t generation_committed;             /* as the device has reported it */
    char fault[160];                           /* what the device has done against the rules; "" nothing */
} cloud_t;

/** @brief Where the cloud's messages go. `body` becomes the receiver's. */
typedef struct {
    void *ctx;
    void (*send)(void *ctx, const char *leaf, cJSON *body);
} cloud_outlet_t;

/** @brief The number of the certificate with this id, CLOUD_NONE if it was never issued. */
int cloud_find_certificate(const cloud_t *cloud, const char *id);

/** @brief The number of the certificate a chain begins with, CLOUD_NONE if it was never issued. */
int cloud_find_chain(const cloud_t *cloud, const char *chain_pem);

/** @brief The device's active certificate, CLOUD_NONE if it has none. */
int cloud_active(const cloud_t *cloud);

/** @brief The rotation begun last; NULL if there was none. */
cloud_rotation_t *cloud_last_rotation(cloud_t *cloud);

/** @brief Has this rotation still an end to come to? */
bool cloud_is_open(const cloud_rotation_t *rotation);

/** @brief May the holder of a certificate (or CLOUD_BOOTSTRAP) connect? */
bool cloud_lets_in(const cloud_t *cloud, int certificate);

/** @brief A message of the device: `enroll`, `csr` or `status`, over a connection with the certificate `sender`. */
void cloud_receive(cloud_t *cloud, const cloud_outlet_t *outlet, const char *leaf, const cJSON *message, int sender);

/** @brief An operator orders a rotation. The device has to have an active certificate and no open rotation. */
void cloud_rotate(cloud_t *cloud, const cloud_outlet_t *outlet, cloud_rotation_kind_t kind);

/** @brief The activation window of an open rotation is over. @return whether that ended it */
bool cloud_window_over(cloud_t *cloud, cloud_rotation_t *rotation);

/** @brief An operator revokes a certificate. */
void cloud_revoke(cloud_t *cloud, int certificate);
