/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Certification requests, PKCS#10 (RFC 2986).
 *
 * Assembled here and not by mbedTLS, because a key in a chip may be one that mbedTLS can neither read nor export.
 */
#pragma once

#include "cert_mgmt/cert_key_backend.h"

/**
 * @brief Write a request for the subject `CN=<device_id>`, signed with SHA-256, as PEM.
 *
 * @param ref       Key reference of `backend`.
 * @param[out] out  NUL-terminated PEM; CERT_CSR_PEM_MAX bytes hold any supported key.
 * @return CERT_OK, CERT_ERR_TOO_LARGE, CERT_ERR_CORRUPT (not a reference of the backend), CERT_ERR_INTERNAL
 */
cert_status_t csr_write_pem(const cert_key_backend_t *backend, const uint8_t *ref, size_t ref_len,
                            const char *device_id, char *out, size_t cap);
