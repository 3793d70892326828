/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What RSA hardware wants to know of a private key. Needs no big-number library: mbedTLS 4 has none to offer.
 */
#pragma once

#include "cert_mgmt/cert_key_ds.h"

/**
 * @brief Work out the operands of a private key. Wipe them after use.
 * @param der  PKCS#1 RSAPrivateKey (RFC 8017, A.1.2); the modulus is a multiple of 32 bits long.
 * @return CERT_OK, CERT_ERR_CORRUPT (not such a key)
 */
cert_status_t rsa_operands_read(const uint8_t *der, size_t len, cert_rsa_operands_t *operands);
