/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

#include "acl.h"

#include <stddef.h>
#include <string.h>

#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#define READ MOSQ_ACL_READ
#define WRITE MOSQ_ACL_WRITE
#define SUBSCRIBE MOSQ_ACL_SUBSCRIBE

typedef struct {
    role_t role;
    int access;
    bool allowed;
    const char *pattern; /**< '%' stands for the client's own id, a final '#' for anything from there on */
} rule_t;

/* The first rule that matches decides; without one the answer is no. */
static const rule_t RULES[] = {
    {ROLE_DEVICE, WRITE, true, "devices/%/certs/csr"},
    {ROLE_DEVICE, WRITE, true, "devices/%/certs/status"},
    {ROLE_DEVICE, WRITE, false, "devices/%/certs/#"},
    {ROLE_DEVICE, READ | WRITE | SUBSCRIBE, true, "devices/%/#"},

    {ROLE_BOOTSTRAP, WRITE, true, "bootstrap/%/enroll"},
    {ROLE_BOOTSTRAP, READ, true, "bootstrap/%/enroll/accepted"},
    {ROLE_BOOTSTRAP, READ, true, "bootstrap/%/enroll/rejected"},
    {ROLE_BOOTSTRAP, SUBSCRIBE, true, "bootstrap/%/enroll/#"},

    {ROLE_SERVICE, READ | WRITE | SUBSCRIBE, true, "#"},
};

static bool matches(const char *pattern, const char *client_id, const char *topic)
{
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '#') {
            return true;
        }
        if (*pattern == '%') {
            size_t len = strlen(client_id);
            if (strncmp(topic, client_id, len) != 0) {
                return false;
            }
            topic += len;
        } else if (*topic++ != *pattern) {
            return false;
        }
    }
    return *topic == '\0';
}

bool acl_allows(role_t role, const char *client_id, int access, const char *topic)
{
    for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++) {
        const rule_t *rule = &RULES[i];
        if (rule->role == role && (rule->access & access) != 0 && matches(rule->pattern, client_id, topic)) {
            return rule->allowed;
        }
    }
    return false;
}

bool acl_rotate_target(const char *topic, char device_id[CLIENT_ID_MAX_LEN + 1])
{
    static const char PREFIX[] = "devices/";
    static const char SUFFIX[] = "/certs/rotate";

    if (strncmp(topic, PREFIX, strlen(PREFIX)) != 0) {
        return false;
    }
    const char *id = topic + strlen(PREFIX);
    size_t len = strcspn(id, "/");
    if (len > CLIENT_ID_MAX_LEN || strcmp(id + len, SUFFIX) != 0) {
        return false;
    }
    memcpy(device_id, id, len);
    device_id[len] = '\0';
    return true;
}
