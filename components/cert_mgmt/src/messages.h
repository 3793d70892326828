/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The messages of the protocol (docs/protocol.md): JSON in and out. The one place that knows field names.
 *
 * What is read stays in the JSON tree it came from: the strings of a message live until message_free(), which also
 * wipes them.
 */
#pragma once

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_identity.h"
#include "cert_mgmt/cert_status.h"

/** @brief `enroll/accepted` and `certs/issued`: a certificate for a request of ours. */
typedef struct {
    const char *request_id;     /*!< request_id or rotation_id */
    const char *certificate;
    const char *chain;          /*!< "" when the message has none */
    const char *certificate_id;
    int64_t time;               /*!< The cloud's time, seconds since 1970; 0 in `issued` */
} message_certificate_t;

/** @brief `enroll/rejected` and `certs/rejected`. */
typedef struct {
    const char *request_id;
    cert_status_t code;
    const char *message;
    uint32_t retry_after_s;     /*!< 0 when the message has none */
} message_rejected_t;

/** @brief `certs/rotate`, both modes. */
typedef struct {
    const char *rotation_id;     /*!< NULL: pushed without one */
    const char *certificate;     /*!< Pushed; NULL in mode "csr" */
    const char *private_key;     /*!< Pushed, PEM */
    const char *chain;           /*!< Pushed, "" when the message has none */
    bool same_key;               /*!< Mode "csr": renew on the key in use */
    cert_key_type_t key_type;    /*!< Mode "csr", unless `same_key` */
    int64_t deadline;            /*!< Seconds since 1970; 0 when there is none */
} message_rotate_t;

/** @brief `certs/commit`. */
typedef struct {
    const char *rotation_id;
    const char *certificate_id;
} message_commit_t;

/** @brief `certs/trust`. */
typedef struct {
    uint32_t version;
    const cJSON *anchors;       /*!< Array of PEM strings, at least one */
    const char *signature;      /*!< Base64 */
} message_trust_t;

/** @brief `certs/status`, what the device says of itself. */
typedef struct {
    const char *rotation_id;    /*!< NULL outside a rotation */
    const char *state;
    const char *certificate_id;
    uint32_t generation;
    int64_t not_after;
    cert_status_t code;         /*!< CERT_OK: no code, no message */
    const char *message;
} message_status_t;

/**
 * @brief Read a payload as one JSON object, strictly: RFC 8259 with nothing after the object, at most CERT_MESSAGE_MAX
 * bytes, nested at most 8 deep, no U+0000.
 *
 * @param scratch    CERT_MESSAGE_MAX bytes. What is no JSON is found on a copy with its strings blanked, so that no
 *                   part of a secret is left behind in memory that the JSON library gives up unwiped.
 * @param[out] tree  The object; NULL unless CERT_OK. Release with message_free().
 * @param[out] why   A string constant saying what is wrong, unless CERT_OK.
 * @return CERT_OK, CERT_ERR_BAD_MESSAGE
 */
cert_status_t message_parse(const uint8_t *payload, size_t len, char *scratch, cJSON **tree, const char **why);

/** @brief Wipe every string of a message, then release it. NULL is allowed. */
void message_free(cJSON *tree);

/*
 * Each reads one kind of message from its tree. Unknown fields are ignored; a missing or mistyped required field is
 * CERT_ERR_BAD_MESSAGE with `why` naming it.
 */
cert_status_t message_read_certificate(const cJSON *tree, const char *id_field, message_certificate_t *out,
                                       const char **why);
cert_status_t message_read_rejected(const cJSON *tree, const char *id_field, message_rejected_t *out, const char **why);
cert_status_t message_read_rotate(const cJSON *tree, message_rotate_t *out, const char **why);
cert_status_t message_read_commit(const cJSON *tree, message_commit_t *out, const char **why);
cert_status_t message_read_trust(const cJSON *tree, message_trust_t *out, const char **why);

/** @brief The rotation id of a message that may be broken otherwise, for the answer; NULL if it has none. */
const char *message_rotation_id(const cJSON *tree);

/*
 * Each writes one message as NUL-terminated JSON: CERT_OK, CERT_ERR_TOO_LARGE, CERT_ERR_INTERNAL (out of memory). The
 * texts may lie in `out`: they are copied first. `proof_mac` may be NULL.
 */
cert_status_t message_write_enroll(char *out, size_t cap, const char *request_id, const char *csr_pem,
                                   const char *proof_mac, const char *hardware, const char *firmware);
cert_status_t message_write_csr(char *out, size_t cap, const char *rotation_id, const char *csr_pem, bool expiring);
cert_status_t message_write_status(char *out, size_t cap, const message_status_t *status, uint32_t trust_version);
