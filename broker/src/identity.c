/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

#include "identity.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

static const struct {
    role_t role;
    const char *name;
} ROLES[] = {
    {ROLE_DEVICE, "device"},
    {ROLE_BOOTSTRAP, "bootstrap"},
    {ROLE_SERVICE, "service"},
};
#define ROLE_COUNT (sizeof(ROLES) / sizeof(ROLES[0]))

role_t role_from_name(const char *name)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (strcmp(ROLES[i].name, name) == 0) {
            return ROLES[i].role;
        }
    }
    return ROLE_NONE;
}

static const char *role_name(role_t role)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (ROLES[i].role == role) {
            return ROLES[i].name;
        }
    }
    return "none";
}

bool certificate_id_is_valid(const char *text)
{
    return strspn(text, "0123456789abcdef") == CERTIFICATE_ID_LEN && text[CERTIFICATE_ID_LEN] == '\0';
}

bool certificate_id_of(const X509 *certificate, char out[CERTIFICATE_ID_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len = 0;

    if (X509_digest(certificate, EVP_sha256(), digest, &digest_len) != 1 || digest_len * 2 != CERTIFICATE_ID_LEN) {
        return false;
    }
    for (size_t i = 0; i < digest_len; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    return true;
}

void identity_to_username(const identity_t *identity, char out[USERNAME_SIZE])
{
    snprintf(out, USERNAME_SIZE, "%s:%s", role_name(identity->role), identity->certificate_id);
}

bool identity_from_username(const char *username, identity_t *out)
{
    char role[16];
    int end = 0;

    if (username == NULL || sscanf(username, "%15[a-z]:%64[0-9a-f]%n", role, out->certificate_id, &end) != 2) {
        return false;
    }
    out->role = role_from_name(role);
    return out->role != ROLE_NONE && username[end] == '\0' && certificate_id_is_valid(out->certificate_id);
}
