/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What gives a private key away: pieces of its secret numbers, in either byte order, and of its PEM text.
 */
#pragma once

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#define NEEDLE_LEN 16
#define NEEDLES_MAX 256

/** @brief The pieces of one key. */
typedef struct {
    uint8_t bytes[NEEDLES_MAX][NEEDLE_LEN];
    size_t count;
} needles_t;

/** @brief Of a key as PKCS#8, which is how keys are pushed, and in any binary form. */
void needles_of_key(EVP_PKEY *key, needles_t *needles);

/** @brief Of a key reference in a slot: SEC1 or PKCS#1 in DER. */
void needles_of_reference(const uint8_t *der, size_t len, needles_t *needles);
