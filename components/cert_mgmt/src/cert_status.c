/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cert_mgmt/cert_status.h"

#include <stddef.h>
#include <string.h>

static const struct {
    cert_status_t status;
    const char *code;
} s_codes[] = {
    { CERT_OK, "ok" },
    { CERT_ERR_BAD_MESSAGE, "bad_message" },
    { CERT_ERR_BAD_CSR, "bad_csr" },
    { CERT_ERR_WEAK_KEY, "weak_key" },
    { CERT_ERR_WRONG_SUBJECT, "wrong_subject" },
    { CERT_ERR_UNTRUSTED, "untrusted" },
    { CERT_ERR_KEY_MISMATCH, "key_mismatch" },
    { CERT_ERR_EXPIRED, "expired" },
    { CERT_ERR_NOT_YET_VALID, "not_yet_valid" },
    { CERT_ERR_STALE, "stale" },
    { CERT_ERR_NOT_ALLOWED, "not_allowed" },
    { CERT_ERR_BUDGET_EXCEEDED, "budget_exceeded" },
    { CERT_ERR_REVOKED, "revoked" },
    { CERT_ERR_SUSPENDED, "suspended" },
    { CERT_ERR_BUSY, "busy" },
    { CERT_ERR_STORAGE_FULL, "storage_full" },
    { CERT_ERR_STORAGE, "storage_error" },
    { CERT_ERR_UNSUPPORTED, "unsupported" },
    { CERT_ERR_DEADLINE_PASSED, "deadline_passed" },
    { CERT_ERR_INTERNAL, "internal" },
};

#define CODE_COUNT (sizeof(s_codes) / sizeof(s_codes[0]))

const char *cert_status_code(cert_status_t status)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (s_codes[i].status == status) {
            return s_codes[i].code;
        }
    }
    return "internal";
}

cert_status_t cert_status_from_code(const char *code)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (s_codes[i].status != CERT_OK && strcmp(s_codes[i].code, code) == 0) {
            return s_codes[i].status;
        }
    }
    return CERT_ERR_INTERNAL;
}
