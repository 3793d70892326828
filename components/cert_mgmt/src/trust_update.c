/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "trust_update.h"

#include <mbedtls/base64.h>
#include <string.h>

#include "agent_internal.h"
#include "messages.h"
#include "rotation.h"
#include "stored_value.h"
#include "trust_store.h"

#define SIGNATURE_MAX 512 /* RSA-4096 */

/* Until it has come to a result, the set on trial stays in use, and on trial. */
static cert_status_t load_proven(cert_agent_t *agent)
{
    cert_status_t status = trust_store_read(agent->port, TRUST_PROVEN, agent->blob, &agent->trust);
    if (status != CERT_OK && !stored_value_is_lost(status)) {
        return status;
    }
    agent->trust_on_trial = false;
    if (status == CERT_OK) {
        return CERT_OK;
    }
    if (status == CERT_ERR_CORRUPT) {
        agent_log(agent, CERT_LOG_ERROR, "store: the trust anchors are corrupt, those from the factory are used");
    }
    size_t len = strlen(agent->config->anchors_pem);
    if (len > CERT_ANCHORS_PEM_MAX) {
        return CERT_ERR_TOO_LARGE;
    }
    agent->trust.version = 0;
    agent->trust.refusals = 0;
    memcpy(agent->trust.anchors_pem, agent->config->anchors_pem, len + 1);
    return CERT_OK;
}

cert_status_t trust_update_load(cert_agent_t *agent)
{
    cert_status_t status = load_proven(agent);
    if (status != CERT_OK) {
        return status;
    }
    uint32_t proven_version = agent->trust.version;
    status = trust_store_read(agent->port, TRUST_TRIAL, agent->blob, &agent->trust);
    if (stored_value_is_lost(status)) {
        return CERT_OK;
    }
    if (status != CERT_OK) {
        return status;
    }
    if (agent->trust.version > proven_version) {
        agent->trust_on_trial = true;
        return CERT_OK;
    }
    return load_proven(agent);
}

void trust_update_tidy(cert_agent_t *agent)
{
    if (agent->trust_on_trial) {
        return;
    }
    cert_status_t status = trust_store_read(agent->port, TRUST_TRIAL, agent->blob, &agent->trust_next);
    if (status != CERT_OK && status != CERT_ERR_CORRUPT) {
        return;
    }
    if (trust_store_erase(agent->port, TRUST_TRIAL) == CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "store: trust anchors that are of no use any more have been erased");
    } else {
        agent_log(agent, CERT_LOG_ERROR, "store: trust anchors that are of no use any more could not be erased, the "
                                         "next start tries again");
    }
}

static void reject(cert_agent_t *agent, cert_status_t code, const char *why)
{
    agent_log(agent, CERT_LOG_WARN, "trust: rejected code=%s message=\"%s\"", cert_status_code(code), why);
    rotation_report_rejected(agent, NULL, code, why);
}

static cert_status_t read_set(const message_trust_t *order, cert_trust_set_t *set, const char **why)
{
    size_t used = 0;
    set->version = order->version;
    set->refusals = 0;
    for (const cJSON *anchor = order->anchors->child; anchor != NULL; anchor = anchor->next) {
        size_t len = strlen(anchor->valuestring);
        if (used + len + 1 > CERT_ANCHORS_PEM_MAX) {
            *why = "the anchors are larger than this device can store";
            return CERT_ERR_BAD_MESSAGE;
        }
        memcpy(set->anchors_pem + used, anchor->valuestring, len);
        used += len;
        set->anchors_pem[used++] = '\n';
    }
    set->anchors_pem[used] = '\0';
    return CERT_OK;
}

static cert_status_t accept_set(cert_agent_t *agent, const message_trust_t *order, const char **why)
{
    cert_trust_set_t *next = &agent->trust_next;
    uint8_t signature[SIGNATURE_MAX];
    size_t signature_len;
    if (mbedtls_base64_decode(signature, sizeof(signature), &signature_len, (const unsigned char *)order->signature,
                              strlen(order->signature)) != 0) {
        *why = "signature is not base64, or too long";
        return CERT_ERR_BAD_MESSAGE;
    }
    cert_status_t status = read_set(order, next, why);
    if (status == CERT_OK) {
        status = trust_store_check(&agent->trust, next, signature, signature_len, why);
    }
    if (status == CERT_OK) {
        *why = "the anchors could not be stored";
        status = trust_store_write(agent->port, TRUST_TRIAL, agent->blob, next);
    }
    return status;
}

void trust_update_message(cert_agent_t *agent, const cJSON *tree, uint64_t now_ms)
{
    message_trust_t order;
    const char *why = NULL;
    cert_status_t status = message_read_trust(tree, &order, &why);
    if (status == CERT_OK && order.version == agent->trust.version) {
        rotation_report_connected(agent); /* said before, answered before */
        return;
    }
    if (status == CERT_OK) {
        status = accept_set(agent, &order, &why);
    }
    if (status != CERT_OK) {
        reject(agent, status, why);
        return;
    }
    agent_log(agent, CERT_LOG_INFO, "trust: staged version=%u", (unsigned)order.version);
    agent_reconnect(agent, now_ms, 0);
    agent->trust = agent->trust_next;
    agent->trust_on_trial = true;
}

void trust_update_proven(cert_agent_t *agent)
{
    if (!agent->trust_on_trial) {
        return;
    }
    agent->trust.refusals = 0;
    if (trust_store_write(agent->port, TRUST_PROVEN, agent->blob, &agent->trust) != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR,
                  "store: the trust anchors could not be stored, the next connection tries again");
        return;
    }
    agent->trust_on_trial = false;
    agent_log(agent, CERT_LOG_INFO, "trust: committed version=%u", (unsigned)agent->trust.version);
    if (trust_store_erase(agent->port, TRUST_TRIAL) != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "store: the anchors on trial could not be erased, the next start tries again");
    }
}

void trust_update_failed(cert_agent_t *agent)
{
    if (!agent->trust_on_trial) {
        return;
    }
    agent->trust.refusals++;
    if (agent->trust.refusals < CERT_TRIAL_LIMIT) {
        /* On the medium: a device that is off between two attempts must come to an end as well. */
        if (trust_store_write(agent->port, TRUST_TRIAL, agent->blob, &agent->trust) != CERT_OK) {
            agent_log(agent, CERT_LOG_ERROR, "store: the failure of the trust anchors could not be counted");
        }
        return;
    }
    agent_log(agent, CERT_LOG_WARN, "trust: rolled_back version=%u message=\"no server could be verified\"",
              (unsigned)agent->trust.version);
    if (load_proven(agent) != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: the anchors before cannot be read, the next failure tries again");
    } else if (trust_store_erase(agent->port, TRUST_TRIAL) != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "store: the anchors on trial could not be erased, the next start tries them "
                                        "again");
    }
}
