/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Certification requests, PKCS#10 (RFC 2986).
 */
#pragma once

#include <mbedtls/pk.h>
#include <stddef.h>

#include "cert_mgmt/cert_status.h"

/**
 * @brief Write a request for the subject `CN=<device_id>`, signed with SHA-256, as PEM.
 *
 * @param key       Private key; not const because older mbedTLS signs with a writable context.
 * @param[out] out  NUL-terminated PEM; CERT_CSR_PEM_MAX bytes hold any supported key.
 * @return CERT_OK, CERT_ERR_TOO_LARGE, CERT_ERR_INTERNAL
 */
cert_status_t csr_write_pem(mbedtls_pk_context *key, const char *device_id, char *out, size_t cap);
