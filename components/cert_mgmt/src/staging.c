/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "staging.h"

#include <stdio.h>
#include <string.h>

#include "agent_internal.h"
#include "boot_guard.h"
#include "cert_check.h"
#include "csr.h"
#include "identity_store.h"
#include "key_backend.h"
#include "time_floor.h"

cert_status_t staging_load_pending(cert_agent_t *agent, cert_origin_t origin, const char *request_id)
{
    cert_slot_t slot = store_free_slot(&agent->record);
    if (slot == CERT_SLOT_NONE) {
        return CERT_ERR_NOT_FOUND;
    }
    cert_identity_t *pending = &agent->candidate;
    cert_status_t status = store_read_slot(agent->port, slot, agent->blob, pending);
    if (status == CERT_ERR_CORRUPT) {
        agent_log(agent, CERT_LOG_ERROR, "store: slot %s is corrupt and not used", store_slot_name(slot));
        return CERT_ERR_NOT_FOUND;
    }
    if (status != CERT_OK) {
        return status;
    }
    bool is_it = pending->chain_len == 0 && pending->origin == origin &&
                 (request_id == NULL || strcmp(pending->request_id, request_id) == 0);
    if (!is_it) {
        store_wipe_identity(pending);
        return CERT_ERR_NOT_FOUND;
    }
    return CERT_OK;
}

static cert_status_t take_key(cert_agent_t *agent, const cert_key_type_t *key_type)
{
    cert_identity_t *pending = &agent->candidate;
    if (key_type != NULL) {
        pending->key_kind = key_backend_software.kind;
        return key_backend_software.generate(*key_type, pending->key, &pending->key_len);
    }
    pending->key_kind = agent->identity.key_kind;
    pending->key_len = agent->identity.key_len;
    memcpy(pending->key, agent->identity.key, agent->identity.key_len);
    return CERT_OK;
}

cert_status_t staging_make_pending(cert_agent_t *agent, cert_origin_t origin, const char *request_id,
                                   const cert_key_type_t *key_type)
{
    cert_slot_t slot = store_free_slot(&agent->record);
    if (slot == CERT_SLOT_NONE) {
        return CERT_ERR_BUSY;
    }
    cert_identity_t *pending = &agent->candidate;
    store_wipe_identity(pending);
    cert_status_t status = take_key(agent, key_type);
    if (status == CERT_OK) {
        pending->origin = origin;
        pending->generation = agent->record.generation + 1;
        snprintf(pending->request_id, sizeof(pending->request_id), "%s", request_id);
        status = store_write_slot(agent->port, slot, agent->blob, pending);
    }
    if (status != CERT_OK) {
        store_wipe_identity(pending);
    }
    return status;
}

void staging_drop_pending(cert_agent_t *agent)
{
    cert_slot_t slot = store_free_slot(&agent->record);
    store_wipe_identity(&agent->candidate);
    if (slot != CERT_SLOT_NONE && store_erase_slot(agent->port, slot) != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: slot %s could not be erased", store_slot_name(slot));
    }
}

cert_status_t staging_write_csr(cert_agent_t *agent)
{
    const key_backend_t *backend = key_backend_find(agent->candidate.key_kind);
    if (backend == NULL) {
        return CERT_ERR_UNSUPPORTED;
    }
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    cert_status_t status = backend->load(agent->candidate.key, agent->candidate.key_len, &key);
    if (status == CERT_OK) {
        status = csr_write_pem(&key, agent->config->device_id, agent->out, sizeof(agent->out));
    }
    mbedtls_pk_free(&key);
    return status;
}

cert_status_t staging_set_chain(cert_agent_t *agent, const char *certificate, const char *chain, const char **why)
{
    cert_identity_t *candidate = &agent->candidate;
    size_t len = strlen(certificate);
    const char *separator = len > 0 && certificate[len - 1] == '\n' ? "" : "\n";
    int total = snprintf(candidate->chain_pem, sizeof(candidate->chain_pem), "%s%s%s", certificate, separator, chain);
    if (total < 0 || (size_t)total >= sizeof(candidate->chain_pem)) {
        *why = "certificate and chain together are larger than this device can store";
        return CERT_ERR_BAD_MESSAGE;
    }
    candidate->chain_len = (size_t)total;
    return CERT_OK;
}

cert_status_t staging_check(cert_agent_t *agent, cert_summary_t *summary, const char **why)
{
    bool has_current = agent->using == CERT_IDENTITY_OPERATIONAL;
    cert_check_rules_t rules = {
        .device_id = agent->config->device_id,
        .anchors_pem = agent->trust.anchors_pem,
        .current = has_current ? &agent->summary : NULL,
    };
    rules.now = time_floor_now(agent->port, agent->time_floor, &rules.now_is_known);
    return cert_check_candidate(&rules, &agent->candidate, summary, why);
}

cert_status_t staging_stage(cert_agent_t *agent)
{
    cert_slot_t slot = store_free_slot(&agent->record);
    if (slot == CERT_SLOT_NONE) {
        return CERT_ERR_BUSY;
    }
    agent->candidate.generation = agent->record.generation + 1;
    cert_status_t status = store_write_slot(agent->port, slot, agent->blob, &agent->candidate);
    if (status != CERT_OK) {
        return status;
    }
    boot_guard_clear(agent->port->boot_ram(agent->port->ctx));
    cert_commit_record_t record = agent->record;
    record.trial = slot;
    record.trial_refusals = 0;
    record.trial_boots = 0;
    status = store_write_record(agent->port, &record);
    if (status != CERT_OK) {
        staging_drop_pending(agent);
        return status;
    }
    agent->record = record;
    agent->ambiguous = 0;
    store_wipe_identity(&agent->candidate);
    return CERT_OK;
}

cert_status_t staging_promote(cert_agent_t *agent)
{
    cert_slot_t old = agent->record.current;
    cert_commit_record_t record = {
        .current = agent->record.trial,
        .generation = agent->identity.generation,
    };
    cert_status_t status = store_write_record(agent->port, &record);
    if (status != CERT_OK) {
        return status;
    }
    agent->record = record;
    agent->using = CERT_IDENTITY_OPERATIONAL;
    agent->refusals = 0;
    agent->bootstrap_next = false;
    boot_guard_clear(agent->port->boot_ram(agent->port->ctx));
    if (old != CERT_SLOT_NONE && store_erase_slot(agent->port, old) != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: slot %s could not be erased, next start tries again",
                  store_slot_name(old));
    }
    return CERT_OK;
}

/*
 * The slot goes first: a loss of power in between leaves a record whose trial cannot be read, which is rolled back
 * again. The other way round the next start would take the slot for a staging to complete.
 */
void staging_roll_back(cert_agent_t *agent, cert_status_t code, const char *why)
{
    cert_slot_t slot = agent->record.trial;
    agent->rolled_back_id[0] = '\0';
    if (store_read_slot(agent->port, slot, agent->blob, &agent->candidate) == CERT_OK &&
            agent->candidate.origin == CERT_ORIGIN_ROTATION) {
        memcpy(agent->rolled_back_id, agent->candidate.request_id, sizeof(agent->rolled_back_id));
        agent->rolled_back_code = code;
    }
    store_wipe_identity(&agent->candidate);
    agent_log(agent, CERT_LOG_WARN, "rotation: rolled_back id=%s code=%s message=\"%s\"", agent->rolled_back_id,
              cert_status_code(code), why);
    if (store_erase_slot(agent->port, slot) != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: slot %s could not be erased", store_slot_name(slot));
    }
    agent->record.trial = CERT_SLOT_NONE;
    agent->record.trial_refusals = 0;
    agent->record.trial_boots = 0;
    agent->ambiguous = 0;
    boot_guard_clear(agent->port->boot_ram(agent->port->ctx));
    if (store_write_record(agent->port, &agent->record) != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: the commit record could not be written");
    }
}
