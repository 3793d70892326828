/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enrollment.h"

#include <string.h>

#include "agent_internal.h"
#include "factory_proof.h"
#include "messages.h"
#include "staging.h"
#include "time_floor.h"

#define REQUEST_ID_BYTES 8

/* A request survives restarts with its key, so that asking again is the same request and gets the same certificate. */
static cert_status_t load_or_make_request(cert_agent_t *agent)
{
    cert_status_t status = staging_load_pending(agent, CERT_ORIGIN_ENROLLMENT, NULL);
    if (status != CERT_ERR_NOT_FOUND && status != CERT_ERR_UNSUPPORTED) {
        return status;
    }
    char request_id[2 * REQUEST_ID_BYTES + 1];
    agent_random_hex(agent, request_id, REQUEST_ID_BYTES);
    return staging_make_pending(agent, CERT_ORIGIN_ENROLLMENT, request_id, STAGING_KEY_DEFAULT,
                                agent->config->key_type);
}

static void give_up(cert_agent_t *agent, cert_status_t code, const char *message, uint32_t retry_after_s,
                    uint64_t now_ms)
{
    agent_expect_nothing(agent);
    uint32_t delay_ms = agent_next_backoff(agent);
    if (retry_after_s > delay_ms / 1000) {
        delay_ms = retry_after_s * 1000;
    }
    agent->bootstrap_next = false;
    agent_log(agent, CERT_LOG_WARN, "enroll: rejected code=%s retry_ms=%u message=\"%s\"", cert_status_code(code),
              (unsigned)delay_ms, message);
    agent_reconnect(agent, now_ms, delay_ms);
}

/* A device without a proof asks all the same: whether one is needed is for the cloud to say. */
static cert_status_t write_request(cert_agent_t *agent)
{
    char mac[FACTORY_PROOF_SIZE];
    cert_status_t proven = factory_proof_make(agent->port, agent->config->device_id, agent->out, mac);
    if (proven != CERT_OK && proven != CERT_ERR_NOT_FOUND) {
        agent_log(agent, CERT_LOG_WARN, "store: the factory secret cannot be used code=%s", cert_status_code(proven));
    }
    return message_write_enroll(agent->out, sizeof(agent->out), agent->candidate.request_id, agent->out,
                                proven == CERT_OK ? mac : NULL, agent->config->hardware, agent->config->firmware);
}

static void publish_request(cert_agent_t *agent, uint64_t now_ms)
{
    cert_status_t status = load_or_make_request(agent);
    if (status == CERT_OK) {
        status = staging_write_csr(agent);
    }
    if (status == CERT_OK) {
        status = write_request(agent);
    }
    if (status == CERT_ERR_UNSUPPORTED) {
        staging_drop_pending(agent);
    }
    if (status != CERT_OK) {
        give_up(agent, status, "no request could be made", 0, now_ms);
        return;
    }
    agent_log(agent, CERT_LOG_INFO, "enroll: requested request_id=%s", agent->candidate.request_id);
    agent_publish(agent, "bootstrap", "enroll");
}

void enrollment_begin(cert_agent_t *agent, uint64_t now_ms)
{
    agent_subscribe(agent, "bootstrap", "enroll/accepted");
    agent_subscribe(agent, "bootstrap", "enroll/rejected");
    agent_expect_answer(agent);
    publish_request(agent, now_ms);
}

void enrollment_repeat(cert_agent_t *agent, uint64_t now_ms)
{
    if (agent->repeats > REQUEST_REPEATS_MAX) {
        give_up(agent, CERT_ERR_BUSY, "the cloud does not answer", 0, now_ms);
    } else {
        publish_request(agent, now_ms);
    }
}

/*
 * The cloud's time is good as far as the certificate it has just made agrees: an absurd one must not raise the floor
 * for ever.
 */
static void note_time(cert_agent_t *agent, int64_t time, const cert_summary_t *summary)
{
    if (time >= summary->not_before && time <= summary->not_after &&
            time_floor_raise(agent->port, &agent->time_floor, time) != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "store: the time floor could not be stored");
    }
}

static cert_status_t stage_answer(cert_agent_t *agent, const message_certificate_t *answer, cert_summary_t *summary,
                                  const char **why)
{
    cert_status_t status = staging_set_chain(agent, answer->certificate, answer->chain, why);
    if (status == CERT_OK) {
        status = staging_check(agent, summary, why);
    }
    if (status == CERT_OK && strcmp(summary->id, answer->certificate_id) != 0) {
        *why = "certificate_id is not that of the certificate";
        status = CERT_ERR_BAD_MESSAGE;
    }
    if (status != CERT_OK) {
        return status;
    }
    *why = "the certificate could not be stored";
    status = staging_stage(agent);
    if (status == CERT_OK) {
        note_time(agent, answer->time, summary);
    }
    return status;
}

static void accepted(cert_agent_t *agent, const cJSON *tree, uint64_t now_ms)
{
    message_certificate_t answer;
    cert_summary_t summary;
    const char *why = NULL;
    cert_status_t status = message_read_certificate(tree, "request_id", &answer, &why);
    if (status != CERT_OK || staging_load_pending(agent, CERT_ORIGIN_ENROLLMENT, answer.request_id) != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "enroll: ignored message=\"%s\"",
                  status != CERT_OK ? why : "not an answer to our request");
        return;
    }
    status = stage_answer(agent, &answer, &summary, &why);
    if (status != CERT_OK) {
        /*
         * The cloud answers the same request with the same certificate for ever: begin anew, with a new key. But if it
         * is only our clock that is against the certificate, that one will be good when the clock is.
         */
        if (status != CERT_ERR_EXPIRED && status != CERT_ERR_NOT_YET_VALID) {
            staging_drop_pending(agent);
        }
        give_up(agent, status, why, 0, now_ms);
        return;
    }
    agent_expect_nothing(agent);
    agent_log(agent, CERT_LOG_INFO, "enroll: accepted certificate=%s generation=%u", summary.id,
              (unsigned)agent->record.generation + 1);
    agent_reconnect(agent, now_ms, 0);
}

/* Does the cloud refuse the request itself, so that the same one will never do? What else it refuses may end. */
static bool is_final(cert_status_t code)
{
    return code == CERT_ERR_BAD_CSR || code == CERT_ERR_WEAK_KEY || code == CERT_ERR_WRONG_SUBJECT ||
           code == CERT_ERR_KEY_MISMATCH;
}

static void rejected(cert_agent_t *agent, const cJSON *tree, uint64_t now_ms)
{
    message_rejected_t answer;
    const char *why = NULL;
    cert_status_t status = message_read_rejected(tree, "request_id", &answer, &why);
    if (status != CERT_OK || staging_load_pending(agent, CERT_ORIGIN_ENROLLMENT, answer.request_id) != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "enroll: ignored message=\"%s\"",
                  status != CERT_OK ? why : "not an answer to our request");
        return;
    }
    if (is_final(answer.code)) {
        staging_drop_pending(agent);
    }
    give_up(agent, answer.code, answer.message, answer.retry_after_s, now_ms);
}

void enrollment_message(cert_agent_t *agent, const char *leaf, const uint8_t *payload, size_t len, uint64_t now_ms)
{
    cJSON *tree;
    const char *why = NULL;
    if (message_parse(payload, len, agent->out, &tree, &why) != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "enroll: ignored message=\"%s\"", why);
    } else if (strcmp(leaf, "accepted") == 0) {
        accepted(agent, tree, now_ms);
    } else if (strcmp(leaf, "rejected") == 0) {
        rejected(agent, tree, now_ms);
    }
    message_free(tree);
}
