/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A certificate authority: a root and an issuing CA, made at the start. Every failure ends the program.
 */
#pragma once

#include <stdint.h>

#include "mbedtls/pk.h"

#define AUTHORITY_PEM_MAX 1024

#define AUTHORITY_SIGNATURE_MAX 512

/** @brief A time at which everything issued is valid. */
#define AUTHORITY_NOW INT64_C(1790000000)

void authority_make(void);

const char *authority_root_pem(void);

const char *authority_issuing_pem(void);

/** @brief Make a key: EC P-256. */
void authority_make_key(mbedtls_pk_context *key);

/** @brief Certify the device's key; AUTHORITY_PEM_MAX bytes. */
void authority_issue(const char *device_id, mbedtls_pk_context *key, char *pem);

/** @brief Sign with the root's key: ECDSA with SHA-256, base64; AUTHORITY_SIGNATURE_MAX bytes. */
void authority_sign(const char *signed_text, char *signature);
