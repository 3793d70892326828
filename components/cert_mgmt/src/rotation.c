/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rotation.h"

#include <stdio.h>
#include <string.h>

#include "agent_internal.h"
#include "cert_check.h"
#include "key_backend.h"
#include "messages.h"
#include "staging.h"
#include "time_floor.h"
#include "trust_update.h"

#define RENEWAL_PREFIX "renew-"
#define RENEWAL_ID_BYTES 8
#define RENEWAL_ID_LEN 16 /* in hex */
#define RENEWAL_RETRY_MS 3600000u

/* @return whether it is on its way */
static bool publish_status(cert_agent_t *agent, const message_status_t *status)
{
    if (message_write_status(agent->out, sizeof(agent->out), status, agent->trust.version) == CERT_OK) {
        return agent_publish(agent, "devices", "certs/status");
    }
    agent_log(agent, CERT_LOG_ERROR, "rotation: status %s could not be written", status->state);
    return false;
}

/* A state of the identity in use. @return whether the report is on its way */
static bool report_failure(cert_agent_t *agent, const char *rotation_id, const char *state, cert_status_t code,
                           const char *why)
{
    return publish_status(agent, &(message_status_t) {
        .rotation_id = rotation_id,
        .state = state,
        .certificate_id = agent->summary.id,
        .generation = agent->identity.generation,
        .not_after = agent->summary.not_after,
        .code = code,
        .message = why,
    });
}

static void report(cert_agent_t *agent, const char *rotation_id, const char *state)
{
    report_failure(agent, rotation_id, state, CERT_OK, NULL);
}

void rotation_report_rejected(cert_agent_t *agent, const char *rotation_id, cert_status_t code, const char *why)
{
    report_failure(agent, rotation_id, "rejected", code, why);
}

static void reject(cert_agent_t *agent, const char *rotation_id, cert_status_t code, const char *why)
{
    agent_log(agent, CERT_LOG_WARN, "rotation: rejected code=%s id=%s message=\"%s\"", cert_status_code(code),
              rotation_id != NULL ? rotation_id : "", why);
    rotation_report_rejected(agent, rotation_id, code, why);
}

static void report_committed(cert_agent_t *agent)
{
    agent_log(agent, CERT_LOG_INFO, "rotation: committed id=%s certificate=%s generation=%u",
              agent->identity.request_id, agent->summary.id, (unsigned)agent->identity.generation);
    report(agent, agent->identity.request_id, "committed");
}

static bool on_trial(const cert_agent_t *agent)
{
    return agent->using == CERT_IDENTITY_TRIAL;
}

void rotation_report_connected(cert_agent_t *agent)
{
    report(agent, on_trial(agent) ? agent->identity.request_id : NULL, "connected");
}

/* Said over every connection until the cloud has got it (cert_agent_delivered()). */
static void report_rolled_back(cert_agent_t *agent)
{
    const cert_commit_record_t *record = &agent->record;
    if (record->rolled_back_code != CERT_OK &&
        report_failure(agent, record->rolled_back_id, "rolled_back", record->rolled_back_code,
                       "the new certificate did not prove itself")) {
        agent->report_connection = agent->connection;
    }
}

void rotation_begin(cert_agent_t *agent)
{
    static const char *const leaves[] = { "certs/rotate", "certs/issued", "certs/rejected", "certs/commit",
                                          "certs/trust" };
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        agent_subscribe(agent, "devices", leaves[i]);
    }
    report_rolled_back(agent);
    rotation_report_connected(agent);
    if (on_trial(agent)) {
        agent_expect_answer(agent);
    }
}

static bool is_renewal(const char *id)
{
    return strncmp(id, RENEWAL_PREFIX, sizeof(RENEWAL_PREFIX) - 1) == 0;
}

/* The key of the pending identity can never be used. A rotation that the cloud has ordered ends with it. */
static void give_up_pending(cert_agent_t *agent)
{
    const char *id = agent->candidate.request_id;
    if (is_renewal(id)) {
        agent_log(agent, CERT_LOG_WARN, "rotation: given up id=%s message=\"its key cannot be used\"", id);
    } else {
        reject(agent, id, CERT_ERR_UNSUPPORTED, "the key of the request cannot be used");
    }
    staging_drop_pending(agent);
}

static void publish_request(cert_agent_t *agent)
{
    const char *id = agent->candidate.request_id;
    cert_status_t status = staging_write_csr(agent);
    if (status == CERT_OK) {
        status = message_write_csr(agent->out, sizeof(agent->out), id, agent->out, is_renewal(id));
    }
    if (status == CERT_OK) {
        agent_publish(agent, "devices", "certs/csr");
        return;
    }
    agent_log(agent, CERT_LOG_ERROR, "rotation: no request could be made id=%s", id);
    if (status == CERT_ERR_UNSUPPORTED) {
        give_up_pending(agent);
    }
}

void rotation_repeat(cert_agent_t *agent)
{
    if (on_trial(agent)) {
        rotation_report_connected(agent);
    } else if (agent->repeats <= REQUEST_REPEATS_MAX &&
               staging_load_pending(agent, CERT_ORIGIN_ROTATION, NULL) == CERT_OK) {
        publish_request(agent);
    } else {
        agent_expect_nothing(agent);
    }
}

void rotation_renew_if_due(cert_agent_t *agent, uint64_t now_ms)
{
    if (agent->using != CERT_IDENTITY_OPERATIONAL || now_ms < agent->renew_at_ms || agent->repeat_after_ms != 0) {
        return;
    }
    bool is_known;
    int64_t now = time_floor_now(agent->port, agent->time_floor, &is_known);
    int64_t lifetime = agent->summary.not_after - agent->summary.not_before;
    if (!is_known || now < agent->summary.not_before + lifetime * CERT_RENEW_AT_PERCENT / 100) {
        return;
    }
    agent->renew_at_ms = now_ms + RENEWAL_RETRY_MS;
    cert_status_t status = staging_load_pending(agent, CERT_ORIGIN_ROTATION, NULL);
    if (status == CERT_ERR_UNSUPPORTED) {
        give_up_pending(agent);
        status = CERT_ERR_NOT_FOUND;
    }
    if (status == CERT_ERR_NOT_FOUND) {
        char id[sizeof(RENEWAL_PREFIX) + RENEWAL_ID_LEN] = RENEWAL_PREFIX;
        agent_random_hex(agent, id + sizeof(RENEWAL_PREFIX) - 1, RENEWAL_ID_BYTES);
        status = staging_make_pending(agent, CERT_ORIGIN_ROTATION, id, STAGING_KEY_DEFAULT,
                                      agent->config->key_type);
    }
    if (status != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "rotation: renewal could not begin code=%s", cert_status_code(status));
        return;
    }
    agent_log(agent, CERT_LOG_INFO, "rotation: renewing id=%s", agent->candidate.request_id);
    publish_request(agent);
    agent_expect_answer(agent);
}

/* A repeated message gets the answer it got before: true if it has been answered. */
static bool answer_repeated(cert_agent_t *agent, const char *rotation_id)
{
    if (agent->identity.origin != CERT_ORIGIN_ROTATION || strcmp(agent->identity.request_id, rotation_id) != 0) {
        return false;
    }
    if (on_trial(agent)) {
        rotation_report_connected(agent);
    } else {
        report_committed(agent);
    }
    return true;
}

static void take_up_staged(cert_agent_t *agent, uint64_t now_ms)
{
    agent_expect_nothing(agent);
    agent_reconnect(agent, now_ms, 0);
    if (agent->config->reboot_on_rotation) {
        agent->port->restart(agent->port->ctx);
    }
}

/* agent->candidate is complete: check it, put it on trial, go and prove it. */
static void stage(cert_agent_t *agent, const char *rotation_id, bool was_asked_for, uint64_t now_ms)
{
    cert_summary_t summary;
    const char *why = NULL;
    cert_status_t status = staging_check(agent, &summary, &why);
    if (status == CERT_OK && !was_asked_for) {
        agent_log(agent, CERT_LOG_INFO, "rotation: accepted id=%s", rotation_id);
        report(agent, rotation_id, "accepted");
    }
    if (status == CERT_OK) {
        why = "the certificate could not be stored";
        status = staging_stage(agent);
    }
    if (status != CERT_OK) {
        reject(agent, rotation_id, status, why);
        return;
    }
    uint32_t generation = agent->record.generation + 1;
    agent_log(agent, CERT_LOG_INFO, "rotation: staged id=%s certificate=%s generation=%u", rotation_id, summary.id,
              (unsigned)generation);
    publish_status(agent, &(message_status_t) {
        .rotation_id = rotation_id,
        .state = "staged",
        .certificate_id = summary.id,
        .generation = generation,
        .not_after = summary.not_after,
    });
    take_up_staged(agent, now_ms);
}

static void rotate_by_csr(cert_agent_t *agent, const message_rotate_t *order)
{
    bool is_known;
    if (order->deadline != 0 && time_floor_now(agent->port, agent->time_floor, &is_known) > order->deadline) {
        reject(agent, order->rotation_id, CERT_ERR_DEADLINE_PASSED, "the rotation's deadline is over");
        return;
    }
    cert_status_t status = staging_load_pending(agent, CERT_ORIGIN_ROTATION, order->rotation_id);
    if (status == CERT_ERR_NOT_FOUND || status == CERT_ERR_UNSUPPORTED) {
        status = staging_make_pending(agent, CERT_ORIGIN_ROTATION, order->rotation_id,
                                      order->same_key ? STAGING_KEY_CURRENT : STAGING_KEY_NEW, order->key_type);
    }
    if (status != CERT_OK) {
        reject(agent, order->rotation_id, status,
               status == CERT_ERR_UNSUPPORTED ? "this device cannot make that key, or no more keys"
                                              : "no key could be made or stored");
        return;
    }
    agent_log(agent, CERT_LOG_INFO, "rotation: accepted id=%s", order->rotation_id);
    report(agent, order->rotation_id, "accepted");
    publish_request(agent);
    agent_expect_answer(agent);
}

static void rotate_pushed(cert_agent_t *agent, const message_rotate_t *order, const cert_summary_t *summary,
                          uint64_t now_ms)
{
    const char *rotation_id = order->rotation_id != NULL ? order->rotation_id : summary->id;
    cert_identity_t *candidate = &agent->candidate;
    candidate->origin = CERT_ORIGIN_ROTATION;
    candidate->key_kind = key_backend_software.kind;
    snprintf(candidate->request_id, sizeof(candidate->request_id), "%s", rotation_id);
    if (key_backend_import(order->private_key, candidate->key, &candidate->key_len) != CERT_OK) {
        reject(agent, rotation_id, CERT_ERR_BAD_MESSAGE, "new_private_key is not PEM that can be read");
        return;
    }
    stage(agent, rotation_id, false, now_ms);
}

static void handle_pushed(cert_agent_t *agent, const message_rotate_t *order, uint64_t now_ms)
{
    cert_summary_t summary;
    const char *why = "new_certificate is not PEM that can be read";
    memset(&agent->candidate, 0, sizeof(agent->candidate));
    cert_status_t status = staging_set_chain(agent, order->certificate, order->chain, &why);
    if (status == CERT_OK) {
        status = cert_check_summarize(agent->candidate.chain_pem, &summary);
    }
    if (status != CERT_OK) {
        reject(agent, order->rotation_id, status, why);
    } else if (!answer_repeated(agent, order->rotation_id != NULL ? order->rotation_id : summary.id)) {
        if (on_trial(agent)) {
            reject(agent, order->rotation_id, CERT_ERR_BUSY, "another rotation is under way");
        } else {
            rotate_pushed(agent, order, &summary, now_ms);
        }
    }
}

static void handle_rotate(cert_agent_t *agent, const cJSON *tree, uint64_t now_ms)
{
    message_rotate_t order;
    const char *why = NULL;
    cert_status_t status = message_read_rotate(tree, &order, &why);
    if (status != CERT_OK) {
        reject(agent, message_rotation_id(tree), status, why);
    } else if (order.certificate != NULL) {
        handle_pushed(agent, &order, now_ms);
    } else if (!answer_repeated(agent, order.rotation_id)) {
        if (on_trial(agent)) {
            reject(agent, order.rotation_id, CERT_ERR_BUSY, "another rotation is under way");
        } else {
            rotate_by_csr(agent, &order);
        }
    }
}

static void handle_issued(cert_agent_t *agent, const cJSON *tree, uint64_t now_ms)
{
    message_certificate_t answer;
    const char *why = NULL;
    cert_status_t status = message_read_certificate(tree, "rotation_id", &answer, &why);
    if (status != CERT_OK) {
        reject(agent, message_rotation_id(tree), status, why);
        return;
    }
    if (answer_repeated(agent, answer.request_id)) {
        return;
    }
    status =
        on_trial(agent) ? CERT_ERR_NOT_FOUND : staging_load_pending(agent, CERT_ORIGIN_ROTATION, answer.request_id);
    if (status == CERT_ERR_NOT_FOUND) {
        reject(agent, answer.request_id, CERT_ERR_STALE, "no request of this device waits for this certificate");
        return;
    }
    if (status != CERT_OK) {
        reject(agent, answer.request_id, status, "the request's key cannot be read or used");
        if (status == CERT_ERR_UNSUPPORTED) {
            staging_drop_pending(agent);
        }
        return;
    }
    agent_expect_nothing(agent);
    status = staging_set_chain(agent, answer.certificate, answer.chain, &why);
    if (status != CERT_OK) {
        reject(agent, answer.request_id, status, why);
        return;
    }
    stage(agent, answer.request_id, true, now_ms);
}

static void handle_rejected(cert_agent_t *agent, const cJSON *tree, uint64_t now_ms)
{
    message_rejected_t answer;
    const char *why = NULL;
    cert_status_t status = message_read_rejected(tree, "rotation_id", &answer, &why);
    if (status != CERT_OK || on_trial(agent) ||
            staging_load_pending(agent, CERT_ORIGIN_ROTATION, answer.request_id) != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "rotation: ignored message=\"%s\"",
                  status != CERT_OK ? why : "not an answer to our request");
        return;
    }
    agent_log(agent, CERT_LOG_WARN, "rotation: refused code=%s id=%s message=\"%s\"", cert_status_code(answer.code),
              answer.request_id, answer.message);
    agent_expect_nothing(agent);
    staging_drop_pending(agent);
    uint32_t retry_ms = answer.retry_after_s * 1000;
    agent->renew_at_ms = now_ms + (retry_ms > RENEWAL_RETRY_MS ? retry_ms : RENEWAL_RETRY_MS);
}

static void handle_commit(cert_agent_t *agent, const cJSON *tree)
{
    message_commit_t order;
    const char *why = NULL;
    cert_status_t status = message_read_commit(tree, &order, &why);
    if (status != CERT_OK) {
        reject(agent, message_rotation_id(tree), status, why);
        return;
    }
    if (strcmp(order.rotation_id, agent->identity.request_id) != 0 ||
        strcmp(order.certificate_id, agent->summary.id) != 0) {
        reject(agent, order.rotation_id, CERT_ERR_STALE, "this is not the certificate of this connection");
        return;
    }
    if (on_trial(agent)) {
        status = staging_promote(agent);
    }
    if (status != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "rotation: commit could not be stored, will ask again id=%s",
                  order.rotation_id);
        return;
    }
    agent_expect_nothing(agent);
    report_committed(agent);
}

static void dispatch(cert_agent_t *agent, const char *leaf, const cJSON *tree, uint64_t now_ms)
{
    if (strcmp(leaf, "rotate") == 0) {
        handle_rotate(agent, tree, now_ms);
    } else if (strcmp(leaf, "issued") == 0) {
        handle_issued(agent, tree, now_ms);
    } else if (strcmp(leaf, "rejected") == 0) {
        handle_rejected(agent, tree, now_ms);
    } else if (strcmp(leaf, "commit") == 0) {
        handle_commit(agent, tree);
    } else if (strcmp(leaf, "trust") == 0) {
        trust_update_message(agent, tree, now_ms);
    }
}

void rotation_message(cert_agent_t *agent, const char *leaf, const uint8_t *payload, size_t len, uint64_t now_ms)
{
    cJSON *tree;
    const char *why = NULL;
    cert_status_t status = message_parse(payload, len, agent->out, &tree, &why);
    if (status == CERT_OK) {
        dispatch(agent, leaf, tree, now_ms);
    } else {
        reject(agent, NULL, status, why);
    }
    message_free(tree);
}
