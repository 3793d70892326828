/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

/**
 * @file identity.h
 * @brief Who is behind a connection: a role and a certificate id.
 *
 * Both are decided once, when the client connects, and then live in the MQTT user name of the session as
 * "<role>:<certificate id>". That is where access rules, stamps and kicks read them, without touching TLS again.
 */
#pragma once

#include <stdbool.h>

#include <openssl/x509.h>

/** Length of a certificate id: the lower-case hexadecimal SHA-256 of the DER encoding. */
#define CERTIFICATE_ID_LEN 64

/** Longest client id that is let in; device ids are at most this long. */
#define CLIENT_ID_MAX_LEN 64

/** Room for "<role>:<certificate id>" and its terminating zero. */
#define USERNAME_SIZE (16 + CERTIFICATE_ID_LEN + 1)

typedef enum {
    ROLE_NONE,
    ROLE_DEVICE,
    ROLE_BOOTSTRAP,
    ROLE_SERVICE,
} role_t;

typedef struct {
    role_t role;
    char certificate_id[CERTIFICATE_ID_LEN + 1];
} identity_t;

/** @brief The role with this name; ROLE_NONE when there is none. */
role_t role_from_name(const char *name);

/** @brief Whether the text is a certificate id: 64 lower-case hexadecimal digits. */
bool certificate_id_is_valid(const char *text);

/** @brief Computes the certificate id of a certificate. @return false when OpenSSL cannot. */
bool certificate_id_of(const X509 *certificate, char out[CERTIFICATE_ID_LEN + 1]);

/** @brief Writes the user name that stands for the identity. */
void identity_to_username(const identity_t *identity, char out[USERNAME_SIZE]);

/** @brief Reads an identity back from a user name. @return false when the user name is not one of ours. */
bool identity_from_username(const char *username, identity_t *out);
