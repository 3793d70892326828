/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The trust store: which root certificates a server's chain may end in.
 *
 * It begins with the anchors from the factory. The cloud replaces them with a signed set of a higher version
 * (docs/protocol.md, "Trust anchors"). A new set is on trial until a server has been verified with it, so that no set
 * can lock the device out.
 */
#pragma once

#include <stdint.h>

#include "cert_mgmt/cert_identity.h"
#include "cert_mgmt/cert_port.h"

/** @brief Which of the two sets in the store. */
typedef enum {
    TRUST_PROVEN, /*!< A server has been verified with it */
    TRUST_TRIAL,  /*!< Not yet */
} trust_state_t;

/**
 * @brief Read a set.
 * @param blob  Scratch of CERT_SLOT_BLOB_MAX bytes.
 * @return CERT_OK, CERT_ERR_NOT_FOUND, CERT_ERR_CORRUPT, CERT_ERR_NEWER_FORMAT, CERT_ERR_STORAGE, CERT_ERR_INTERNAL
 *         (for want of memory it cannot be told whether the set is good); `set` is unchanged unless CERT_OK
 */
cert_status_t trust_store_read(const cert_port_t *port, trust_state_t state, uint8_t *blob, cert_trust_set_t *set);

/** @brief Store a set. CERT_OK, CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL */
cert_status_t trust_store_write(const cert_port_t *port, trust_state_t state, uint8_t *blob,
                                const cert_trust_set_t *set);

/** @brief Forget a set. CERT_OK, CERT_ERR_STORAGE */
cert_status_t trust_store_erase(const cert_port_t *port, trust_state_t state);

/**
 * @brief May `next` replace `current`? It has to be newer, hold only CA certificates with strong keys, and be signed by
 * the key of an anchor in `current`: ECDSA (DER) or RSA PKCS#1 v1.5, with SHA-256, over the text that docs/protocol.md
 * gives.
 *
 * @param[out] why  A string constant, unless CERT_OK.
 * @return CERT_OK, CERT_ERR_STALE, CERT_ERR_BAD_MESSAGE, CERT_ERR_WEAK_KEY, CERT_ERR_UNTRUSTED, CERT_ERR_INTERNAL
 */
cert_status_t trust_store_check(const cert_trust_set_t *current, const cert_trust_set_t *next, const uint8_t *signature,
                                size_t signature_len, const char **why);
