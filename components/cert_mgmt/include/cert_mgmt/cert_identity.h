/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What an identity is made of.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_limits.h"
#include "cert_mgmt/cert_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @brief Key types a device can make. */
typedef enum {
    CERT_KEY_EC_P256,
    CERT_KEY_RSA_2048,
    CERT_KEY_RSA_3072,
    CERT_KEY_RSA_4096,
} cert_key_type_t;

/** @brief Where an identity came from. The numbers are stored: never renumber. */
typedef enum {
    CERT_ORIGIN_NONE = 0,       /*!< Empty: no identity */
    CERT_ORIGIN_ENROLLMENT = 1, /*!< Asked for with the bootstrap certificate */
    CERT_ORIGIN_ROTATION = 2,   /*!< Rotated by CSR or pushed */
} cert_origin_t;

/**
 * @brief One identity: a key, and once the cloud has answered, its certificate chain.
 *
 * An identity without a chain is pending: its request is out, its key must survive until the answer comes.
 */
typedef struct {
    cert_origin_t origin;
    uint32_t generation;                         /*!< Counts up by one with every identity staged */
    char request_id[CERT_REQUEST_ID_MAX + 1];    /*!< Enrolment request id or rotation id */
    cert_key_kind_t key_kind;
    size_t key_len;
    uint8_t key[CERT_KEY_MAX];
    size_t chain_len;                            /*!< Without the NUL; 0 while pending */
    char chain_pem[CERT_CHAIN_PEM_MAX + 1];      /*!< Leaf first, then the issuing CAs, no root */
} cert_identity_t;

/** @brief What the leaf certificate of a chain says, as far as the agent cares. */
typedef struct {
    char id[CERT_ID_LEN + 1]; /*!< Certificate id */
    int64_t not_before;       /*!< Seconds since 1970-01-01 UTC */
    int64_t not_after;        /*!< Seconds since 1970-01-01 UTC */
} cert_summary_t;

/** @brief Slots of the identity store. The numbers are stored: never renumber. */
typedef enum {
    CERT_SLOT_NONE = 0,
    CERT_SLOT_A = 1,
    CERT_SLOT_B = 2,
} cert_slot_t;

/** @brief The commit record: says who the device is. Stored under one key, so switching it is atomic. */
typedef struct {
    cert_slot_t current;    /*!< Slot of the operational identity */
    cert_slot_t trial;      /*!< Slot of the identity on trial */
    uint32_t generation;    /*!< Generation last committed: nothing older is ever used again */
    uint8_t trial_refusals; /*!< How often the cloud has refused the trial */
    uint8_t trial_boots; /*!< Boots since the trial was staged; bounds crash loops that lose the boot-surviving RAM */

    /* A trial that was rolled back, until the cloud has got to know */
    char rolled_back_id[CERT_REQUEST_ID_MAX + 1]; /*!< Its rotation or request id; "" if there is none */
    cert_status_t rolled_back_code;               /*!< Why; CERT_OK: an enrolment, of which the cloud is not told */
} cert_commit_record_t;

/** @brief One set of trust anchors: what a server's chain may end in. */
typedef struct {
    uint32_t version;                            /*!< Counts up with every set; 0: from the factory */
    uint16_t refusals; /*!< Servers in a row that failed under this set while it was on trial */
    char anchors_pem[CERT_ANCHORS_PEM_MAX + 1];
} cert_trust_set_t;

#ifdef __cplusplus
}
#endif
