/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "staging.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent_internal.h"
#include "boot_guard.h"
#include "cert_check.h"
#include "csr.h"
#include "identity_store.h"
#include "key_backend.h"
#include "time_floor.h"

/* So often in a row does a pending key count as corrupt before it is given up. */
#define KEY_FAILURES_MAX 5

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
    return key_backend_find(agent->key_backend, pending->key_kind) != NULL ? CERT_OK : CERT_ERR_UNSUPPORTED;
}

/* Put the key asked for into agent->candidate. */
static cert_status_t take_key(cert_agent_t *agent, staging_key_t which, cert_key_type_t type)
{
    const cert_key_backend_t *own = agent->key_backend;
    cert_identity_t *pending = &agent->candidate;
    if (which == STAGING_KEY_CURRENT) {
        pending->key_kind = agent->identity.key_kind;
        pending->key_len = agent->identity.key_len;
        memcpy(pending->key, agent->identity.key, agent->identity.key_len);
        return CERT_OK;
    }
    pending->key_kind = own->kind;
    cert_status_t status = CERT_ERR_NOT_FOUND;
    if (which == STAGING_KEY_DEFAULT && own->recall != NULL) {
        status = own->recall(own->ctx, pending->key, &pending->key_len);
    }
    return status == CERT_ERR_NOT_FOUND ? own->generate(own->ctx, type, pending->key, &pending->key_len) : status;
}

cert_status_t staging_make_pending(cert_agent_t *agent, cert_origin_t origin, const char *request_id,
                                   staging_key_t which, cert_key_type_t type)
{
    cert_slot_t slot = store_free_slot(&agent->record);
    if (slot == CERT_SLOT_NONE) {
        return CERT_ERR_BUSY;
    }
    cert_identity_t *pending = &agent->candidate;
    store_wipe_identity(pending);
    agent->key_failures = 0;
    cert_status_t status = take_key(agent, which, type);
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

/* @return whether it is empty now */
static bool erase_slot(const cert_agent_t *agent, cert_slot_t slot)
{
    if (slot != CERT_SLOT_NONE && store_erase_slot(agent->port, slot) != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: slot %s could not be erased, the next start tries again",
                  store_slot_name(slot));
        return false;
    }
    return true;
}

void staging_drop_pending(cert_agent_t *agent)
{
    store_wipe_identity(&agent->candidate);
    (void)erase_slot(agent, store_free_slot(&agent->record));
}

cert_status_t staging_write_csr(cert_agent_t *agent)
{
    const cert_identity_t *pending = &agent->candidate;
    const cert_key_backend_t *backend = key_backend_find(agent->key_backend, pending->key_kind);
    if (backend == NULL) {
        return CERT_ERR_UNSUPPORTED;
    }
    cert_status_t status = csr_write_pem(backend, pending->key, pending->key_len, agent->config->device_id, agent->out,
                                         sizeof(agent->out));
    agent->key_failures = status == CERT_ERR_CORRUPT ? agent->key_failures + 1 : 0;
    return agent->key_failures >= KEY_FAILURES_MAX ? CERT_ERR_UNSUPPORTED : status;
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
        .key_backend = agent->key_backend,
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

static void end_trial(cert_commit_record_t *record)
{
    record->trial = CERT_SLOT_NONE;
    record->trial_refusals = 0;
    record->trial_boots = 0;
}

cert_status_t staging_promote(cert_agent_t *agent)
{
    cert_slot_t old = agent->record.current;
    cert_commit_record_t record = agent->record;
    record.current = record.trial;
    record.generation = agent->identity.generation;
    end_trial(&record);
    if (record.rolled_back_code == CERT_OK) {
        record.rolled_back_id[0] = '\0'; /* an enrolment, made up for by this one */
    }
    cert_status_t status = store_write_record(agent->port, &record);
    if (status != CERT_OK) {
        return status;
    }
    agent->record = record;
    agent->using = CERT_IDENTITY_OPERATIONAL;
    agent->refusals = 0;
    agent->bootstrap_next = false;
    boot_guard_clear(agent->port->boot_ram(agent->port->ctx));
    (void)erase_slot(agent, old);
    return CERT_OK;
}

/*
 * The record names what was rolled back: were the power lost before the slot is erased, the next start would else take
 * it for a staging to complete. A record that cannot be written leaves the slot as it is: the next start goes on with
 * the trial, and can still tell the cloud how it ends.
 */
void staging_roll_back(cert_agent_t *agent, cert_status_t code, const char *why)
{
    cert_commit_record_t *record = &agent->record;
    cert_slot_t slot = record->trial;
    const char *id = "";
    if (store_read_slot(agent->port, slot, agent->blob, &agent->candidate) == CERT_OK) {
        id = record->rolled_back_id;
        memcpy(record->rolled_back_id, agent->candidate.request_id, sizeof(record->rolled_back_id));
        record->rolled_back_code = agent->candidate.origin == CERT_ORIGIN_ROTATION ? code : CERT_OK;
    }
    store_wipe_identity(&agent->candidate);
    agent_log(agent, CERT_LOG_WARN, "rotation: rolled_back id=%s code=%s message=\"%s\"", id, cert_status_code(code),
              why);
    end_trial(record);
    agent->ambiguous = 0;
    boot_guard_clear(agent->port->boot_ram(agent->port->ctx));
    if (store_write_record(agent->port, record) == CERT_OK) {
        (void)erase_slot(agent, slot);
    } else {
        agent_log(agent, CERT_LOG_ERROR, "store: the commit record could not be written");
    }
}

void staging_forget_rolled_back(cert_agent_t *agent)
{
    cert_status_t pending = staging_load_pending(agent, CERT_ORIGIN_ROTATION, NULL);
    bool is_another = pending == CERT_OK || pending == CERT_ERR_UNSUPPORTED;
    bool is_gone = is_another ||
                   (pending == CERT_ERR_NOT_FOUND && erase_slot(agent, store_free_slot(&agent->record)));
    if (!is_gone) {
        return; /* without its id the next start would take what was rolled back for a staging to complete */
    }
    cert_commit_record_t record = agent->record;
    record.rolled_back_id[0] = '\0';
    record.rolled_back_code = CERT_OK;
    if (store_write_record(agent->port, &record) == CERT_OK) {
        agent->record = record;
    }
}
