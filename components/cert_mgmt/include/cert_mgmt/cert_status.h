/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The one status type of the certificate core and its names on the wire.
 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Outcome of every core and port function that can fail.
 *
 * The first group is also what the device tells the cloud (docs/protocol.md, "Codes"); the second never leaves the
 * device.
 */
typedef enum {
    CERT_OK = 0,

    CERT_ERR_BAD_MESSAGE,     /*!< Not JSON, a required field missing or of the wrong type, or too large */
    CERT_ERR_BAD_CSR,         /*!< The cloud could not use our certification request */
    CERT_ERR_WEAK_KEY,        /*!< Key type or size below what is accepted */
    CERT_ERR_WRONG_SUBJECT,   /*!< The certificate names another device */
    CERT_ERR_UNTRUSTED,       /*!< The chain does not verify to a trust anchor for client authentication */
    CERT_ERR_KEY_MISMATCH,    /*!< Certificate and private key do not belong together */
    CERT_ERR_EXPIRED,         /*!< Past its notAfter */
    CERT_ERR_NOT_YET_VALID,   /*!< Before its notBefore */
    CERT_ERR_STALE,           /*!< Older than, or the same as, what the device has; or an answer nobody waits for */
    CERT_ERR_NOT_ALLOWED,     /*!< Refused by policy */
    CERT_ERR_BUDGET_EXCEEDED, /*!< The bootstrap batch has no enrolments left */
    CERT_ERR_REVOKED,         /*!< The device or certificate is revoked */
    CERT_ERR_SUSPENDED,       /*!< The device is suspended */
    CERT_ERR_BUSY,            /*!< Another rotation is under way; try later */
    CERT_ERR_STORAGE_FULL,    /*!< No room left in the store */
    CERT_ERR_STORAGE,         /*!< The store could not be read or written */
    CERT_ERR_UNSUPPORTED,     /*!< Not available on this device */
    CERT_ERR_DEADLINE_PASSED, /*!< The rotation's deadline is over */
    CERT_ERR_INTERNAL,        /*!< A fault of this software */

    CERT_ERR_NOT_FOUND,       /*!< No such stored value */
    CERT_ERR_TOO_LARGE,       /*!< Does not fit the buffer given */
    CERT_ERR_CORRUPT,         /*!< Stored value fails its magic, length or CRC */
    CERT_ERR_NEWER_FORMAT,    /*!< Stored by a newer format version: neither used nor overwritten */
    CERT_ERR_INVALID_ARG,     /*!< The caller broke the contract, or a setting has a bad value */
} cert_status_t;

/**
 * @brief The code of a status as the protocol spells it, e.g. "key_mismatch".
 *
 * @return A string constant. "internal" for the statuses that never leave the device; "ok" for CERT_OK.
 */
const char *cert_status_code(cert_status_t status);

/**
 * @brief The status that a code of the cloud stands for.
 *
 * @param code  NUL-terminated code as in docs/protocol.md.
 * @return CERT_ERR_INTERNAL for a code this version does not know.
 */
cert_status_t cert_status_from_code(const char *code);

#ifdef __cplusplus
}
#endif
