/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * The connection half of the agent: which identity to connect with, what a failure means for it, when to try again.
 * What is said over a connection is in enrollment.c and rotation.c; how identities change is in staging.c.
 */
#include "cert_mgmt/cert_agent.h"

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent_internal.h"
#include "boot_guard.h"
#include "cert_check.h"
#include "civil_time.h"
#include "enrollment.h"
#include "identity_store.h"
#include "key_backend.h"
#include "rotation.h"
#include "staging.h"
#include "stored_value.h"
#include "time_floor.h"
#include "trust_update.h"

/* A port that has not answered by then never will. */
#define CONNECT_TIMEOUT_MS 120000

/* A connection that lasted this long was a good one: the backoff begins anew. */
#define STABLE_CONNECTION_MS 30000

/* Longest time between two ticks; bounds how late a change of the wall clock is noticed. */
#define TICK_MAX_MS 60000

#define RANDOM_HEX_MAX 16

void agent_log(const cert_agent_t *agent, cert_log_level_t level, const char *format, ...)
{
    char line[CERT_LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    /* Texts of the cloud may be part of the line: they must not be able to begin another one. */
    for (char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ') {
            *c = ' ';
        }
    }
    agent->port->log(agent->port->ctx, level, line);
}

const char *agent_identity_name(cert_identity_kind_t kind)
{
    static const char *const names[] = {
        [CERT_IDENTITY_BOOTSTRAP] = "bootstrap",
        [CERT_IDENTITY_OPERATIONAL] = "operational",
        [CERT_IDENTITY_TRIAL] = "trial",
    };
    return names[kind];
}

static const char *failure_name(cert_failure_t why)
{
    static const char *const names[] = {
        [CERT_FAILURE_NETWORK] = "network",
        [CERT_FAILURE_IDENTITY_REFUSED] = "refused",
        [CERT_FAILURE_SERVER_UNTRUSTED] = "server_untrusted",
        [CERT_FAILURE_UNKNOWN] = "unknown",
    };
    return names[why];
}

static const char *phase_name(cert_phase_t phase)
{
    static const char *const names[] = {
        [CERT_PHASE_STOPPED] = "stopped",
        [CERT_PHASE_WAITING] = "waiting",
        [CERT_PHASE_CONNECTING] = "connecting",
        [CERT_PHASE_ONLINE] = "online",
    };
    return names[phase];
}

static void topic_of(const cert_agent_t *agent, const char *tree, const char *leaf, char *topic)
{
    snprintf(topic, CERT_TOPIC_MAX, "%s/%s/%s", tree, agent->config->device_id, leaf);
}

void agent_subscribe(const cert_agent_t *agent, const char *tree, const char *leaf)
{
    char topic[CERT_TOPIC_MAX];
    topic_of(agent, tree, leaf, topic);
    agent->port->subscribe(agent->port->ctx, topic);
}

bool agent_publish(const cert_agent_t *agent, const char *tree, const char *leaf)
{
    char topic[CERT_TOPIC_MAX];
    topic_of(agent, tree, leaf, topic);
    cert_status_t status = agent->port->publish(agent->port->ctx, topic, agent->out, strlen(agent->out));
    if (status != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "publish: failed topic=%s code=%s", topic, cert_status_code(status));
    }
    return status == CERT_OK;
}

void agent_random_hex(const cert_agent_t *agent, char *out, size_t bytes)
{
    uint8_t random[RANDOM_HEX_MAX];
    agent->port->random(agent->port->ctx, random, bytes);
    for (size_t i = 0; i < bytes; i++) {
        snprintf(out + 2 * i, 3, "%02x", random[i]);
    }
}

static void wait_until(cert_agent_t *agent, uint64_t when_ms)
{
    agent->phase = CERT_PHASE_WAITING;
    agent->wake_at_ms = when_ms;
    agent_expect_nothing(agent);
}

void agent_reconnect(cert_agent_t *agent, uint64_t now_ms, uint32_t delay_ms)
{
    agent->port->disconnect(agent->port->ctx);
    wait_until(agent, now_ms + delay_ms);
}

uint32_t agent_next_backoff(cert_agent_t *agent)
{
    uint32_t cap = agent->config->backoff_max_ms;
    uint32_t delay = agent->config->backoff_min_ms;
    for (uint32_t i = 0; i < agent->failures && delay < cap; i++) {
        delay = delay > cap / 2 ? cap : delay * 2;
    }
    agent->failures++;
    uint32_t jitter;
    agent->port->random(agent->port->ctx, (uint8_t *)&jitter, sizeof(jitter));
    return delay - jitter % (delay / 2 + 1);
}

static void repeat_after(cert_agent_t *agent, uint32_t delay_ms)
{
    agent->repeat_after_ms = delay_ms;
    agent->repeat_at_ms = 0;
}

void agent_expect_answer(cert_agent_t *agent)
{
    agent->repeats = 0;
    repeat_after(agent, REQUEST_REPEAT_MIN_MS);
}

void agent_expect_nothing(cert_agent_t *agent)
{
    agent->repeats = 0;
    repeat_after(agent, 0);
}

static bool is_device_id(const char *id)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = id != NULL ? strlen(id) : 0;
    if (len < 3 || len > CERT_DEVICE_ID_MAX || strchr(first, id[0]) == NULL) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (strchr(first, id[i]) == NULL && id[i] != '_' && id[i] != '-') {
            return false;
        }
    }
    return true;
}

cert_status_t cert_agent_init(cert_agent_t *agent, const cert_agent_config_t *config, const cert_port_t *port)
{
    memset(agent, 0, sizeof(*agent));
    if (!is_device_id(config->device_id) || config->bootstrap_chain_pem == NULL || config->bootstrap_key == NULL ||
        config->anchors_pem == NULL || strlen(config->anchors_pem) > CERT_ANCHORS_PEM_MAX || config->hardware == NULL ||
        config->firmware == NULL || config->backoff_min_ms == 0 || config->backoff_max_ms < config->backoff_min_ms) {
        return CERT_ERR_INVALID_ARG;
    }
    agent->config = config;
    agent->time_floor = config->build_time;
    agent->key_backend = config->key_backend != NULL ? config->key_backend : &key_backend_software;
    agent->port = port;
    return psa_crypto_init() == PSA_SUCCESS ? CERT_OK : CERT_ERR_INTERNAL;
}

/*
 * A trial that keeps the device from staying up ends. If every crash is followed by a loss of power only the count on
 * the medium shows it; that may also be a device without network that is switched on and off, so then the identity
 * before is tried for comparison.
 */
static void count_boot_on_trial(cert_agent_t *agent, uint32_t *boots)
{
    *boots = boot_guard_count(agent->port->boot_ram(agent->port->ctx));
    if (*boots >= CERT_TRIAL_LIMIT) {
        staging_roll_back(agent, CERT_ERR_INTERNAL, "too many restarts on the new certificate");
    } else if (agent->record.trial_boots >= CERT_AMBIGUOUS_LIMIT) {
        agent->ambiguous = CERT_AMBIGUOUS_LIMIT;
    } else {
        agent->record.trial_boots++;
        if (store_write_record(agent->port, &agent->record) != CERT_OK) {
            agent_log(agent, CERT_LOG_ERROR, "store: the boot could not be counted");
        }
    }
}

/*
 * First all is read, and only then is anything repaired: a store that must not be touched is found out before. A repair
 * that cannot be written keeps no device offline.
 */
static cert_status_t open_store(cert_agent_t *agent, const char **note)
{
    cert_status_t status = time_floor_load(agent->port, agent->config->build_time, &agent->time_floor);
    if (status == CERT_OK) {
        status = trust_update_load(agent);
    }
    if (status == CERT_OK) {
        status = store_open(agent->port, agent->blob, &agent->candidate, &agent->record, note);
    }
    if (status == CERT_OK) {
        trust_update_tidy(agent);
    }
    return status;
}

cert_status_t cert_agent_boot(cert_agent_t *agent, uint64_t now_ms)
{
    const char *note = NULL;
    uint32_t boots = 0;
    cert_status_t status = open_store(agent, &note);
    if (status != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: %s",
                  status == CERT_ERR_NEWER_FORMAT ? "written by a newer firmware; neither used nor changed"
                                                  : "cannot be read now");
        return status;
    }
    if (note != NULL) {
        agent_log(agent, CERT_LOG_WARN, "store: %s", note);
    }
    if (agent->record.trial != CERT_SLOT_NONE) {
        count_boot_on_trial(agent, &boots);
    } else {
        boot_guard_clear(agent->port->boot_ram(agent->port->ctx));
    }
    agent_log(agent, CERT_LOG_INFO, "boot: id=%s slot=%s generation=%u trial=%s boots=%u", agent->config->device_id,
              store_slot_name(agent->record.current), (unsigned)agent->record.generation,
              store_slot_name(agent->record.trial), (unsigned)boots);
    wait_until(agent, now_ms);
    return CERT_OK;
}

/*
 * Make the identity in a slot the one in use. NOT_FOUND and CORRUPT: there is none that can be used. INTERNAL: it is
 * intact, and its certificate cannot be read for all that: memory may be short.
 */
static cert_status_t take_up_slot(cert_agent_t *agent, cert_slot_t slot, cert_identity_kind_t kind)
{
    cert_status_t status = store_read_slot(agent->port, slot, agent->blob, &agent->identity);
    agent->using = kind;
    if (status == CERT_OK && cert_check_summarize(agent->identity.chain_pem, &agent->summary) != CERT_OK) {
        status = CERT_ERR_INTERNAL;
    }
    if (status == CERT_OK && key_backend_find(agent->key_backend, agent->identity.key_kind) == NULL) {
        status = CERT_ERR_UNSUPPORTED;
    }
    if (status != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: slot %s cannot be used code=%s", store_slot_name(slot),
                  cert_status_code(status));
    }
    return status == CERT_ERR_UNSUPPORTED ? CERT_ERR_NOT_FOUND : status;
}

static void take_up_bootstrap(cert_agent_t *agent)
{
    store_wipe_identity(&agent->identity);
    agent->using = CERT_IDENTITY_BOOTSTRAP;
    if (cert_check_summarize(agent->config->bootstrap_chain_pem, &agent->summary) != CERT_OK) {
        memset(&agent->summary, 0, sizeof(agent->summary));
        agent_log(agent, CERT_LOG_ERROR, "boot: the bootstrap certificate cannot be read");
    }
}

/*
 * Who to be: the trial while there is one (unless it fails without a reason so often that a comparison is due), else
 * the operational identity, else bootstrap. Returns an error only if the store cannot be read at the moment: that says
 * nothing about the identity, so none is given up for it.
 */
static cert_status_t choose_identity(cert_agent_t *agent)
{
    if (agent->record.trial != CERT_SLOT_NONE && agent->ambiguous < CERT_AMBIGUOUS_LIMIT) {
        cert_status_t status = take_up_slot(agent, agent->record.trial, CERT_IDENTITY_TRIAL);
        if (!stored_value_is_lost(status)) {
            return status;
        }
        staging_roll_back(agent, CERT_ERR_STORAGE, "the new certificate was lost from the store");
    }
    if (agent->record.current != CERT_SLOT_NONE && !agent->bootstrap_next) {
        cert_status_t status = take_up_slot(agent, agent->record.current, CERT_IDENTITY_OPERATIONAL);
        if (!stored_value_is_lost(status)) {
            return status;
        }
    }
    take_up_bootstrap(agent);
    return CERT_OK;
}

static void count_trial_failure(cert_agent_t *agent, cert_failure_t why)
{
    if (why == CERT_FAILURE_UNKNOWN) {
        agent->ambiguous++;
    } else if (why == CERT_FAILURE_IDENTITY_REFUSED) {
        agent->record.trial_refusals++;
        if (agent->record.trial_refusals >= CERT_TRIAL_LIMIT) {
            staging_roll_back(agent, CERT_ERR_NOT_ALLOWED, "the cloud refuses the new certificate");
        } else if (store_write_record(agent->port, &agent->record) != CERT_OK) {
            agent_log(agent, CERT_LOG_ERROR, "store: the refusal could not be counted");
        }
    }
}

static void count_operational_failure(cert_agent_t *agent, cert_failure_t why)
{
    if (why == CERT_FAILURE_IDENTITY_REFUSED) {
        agent->refusals++;
    } else if (why == CERT_FAILURE_UNKNOWN) {
        agent->ambiguous++;
    }
    agent->bootstrap_next =
        agent->refusals >= CERT_REFUSALS_BEFORE_BOOTSTRAP || agent->ambiguous >= CERT_AMBIGUOUS_LIMIT;
}

/* What a failure means for the identity that was used. Nothing but a refusal is ever held against it. */
static void count_failure(cert_agent_t *agent, cert_failure_t why)
{
    if (agent->using == CERT_IDENTITY_TRIAL) {
        count_trial_failure(agent, why);
    } else if (agent->record.trial != CERT_SLOT_NONE) {
        agent->ambiguous = 0; /* the comparison failed as well: the trial's turn again */
    } else if (agent->using == CERT_IDENTITY_OPERATIONAL) {
        count_operational_failure(agent, why);
    } else {
        agent->bootstrap_next = false; /* the operational identity's turn again, if there is one */
    }
}

static void open_connection(cert_agent_t *agent, uint64_t now_ms)
{
    cert_status_t status = choose_identity(agent);
    if (status != CERT_OK) {
        wait_until(agent, now_ms + agent_next_backoff(agent));
        if (status == CERT_ERR_INTERNAL) {
            count_failure(agent, CERT_FAILURE_UNKNOWN);
        }
        return;
    }
    bool bootstrap = agent->using == CERT_IDENTITY_BOOTSTRAP;
    cert_connect_t request = {
        .connection = ++agent->connection,
        .identity = agent->using,
        .client_id = agent->config->device_id,
        .chain_pem = bootstrap ? agent->config->bootstrap_chain_pem : agent->identity.chain_pem,
        .key_kind = bootstrap ? CERT_KEY_KIND_SOFTWARE : agent->identity.key_kind,
        .key = bootstrap ? agent->config->bootstrap_key : agent->identity.key,
        .key_len = bootstrap ? agent->config->bootstrap_key_len : agent->identity.key_len,
        .anchors_pem = agent->trust.anchors_pem,
    };
    agent->phase = CERT_PHASE_CONNECTING;
    agent->wake_at_ms = now_ms + CONNECT_TIMEOUT_MS;
    agent_log(agent, CERT_LOG_INFO, "connecting: identity=%s", agent_identity_name(agent->using));
    agent->port->connect(agent->port->ctx, &request);
}

/*
 * The cloud has just accepted our certificate, so by its clock that is valid now. A clock of ours that says otherwise
 * is wrong and must not raise the floor. Nor may a clock that only the bootstrap certificate vouches for: that one
 * outlives by years the certificates it enrols for, and with a floor up there every one of them would count as expired.
 */
static void note_good_time(cert_agent_t *agent)
{
    bool is_known;
    int64_t now = time_floor_now(agent->port, agent->time_floor, &is_known);
    bool is_vouched_for = agent->using != CERT_IDENTITY_BOOTSTRAP && now <= agent->summary.not_after;
    int64_t good = is_known && is_vouched_for ? now : agent->summary.not_before;
    if (time_floor_raise(agent->port, &agent->time_floor, good) != CERT_OK) {
        agent_log(agent, CERT_LOG_WARN, "store: the time floor could not be stored");
    }
}

/* An enrolled identity has no commit to wait for: that the cloud lets it in is the proof. */
static void promote_enrolled(cert_agent_t *agent)
{
    if (agent->using == CERT_IDENTITY_TRIAL && agent->identity.origin == CERT_ORIGIN_ENROLLMENT &&
            staging_promote(agent) != CERT_OK) {
        agent_log(agent, CERT_LOG_ERROR, "store: the commit record could not be written");
    }
}

void cert_agent_connected(cert_agent_t *agent, uint32_t connection, uint64_t now_ms)
{
    if (connection != agent->connection || agent->phase != CERT_PHASE_CONNECTING) {
        return;
    }
    if (agent->record.trial != CERT_SLOT_NONE && agent->using != CERT_IDENTITY_TRIAL) {
        staging_roll_back(agent, CERT_ERR_NOT_ALLOWED, "the identity before gets through, the new one does not");
    }
    agent->phase = CERT_PHASE_ONLINE;
    agent->wake_at_ms = now_ms + STABLE_CONNECTION_MS;
    agent->ambiguous = 0;
    agent_log(agent, CERT_LOG_INFO, "connected: identity=%s certificate=%s", agent_identity_name(agent->using),
              agent->summary.id);
    note_good_time(agent);
    trust_update_proven(agent);
    if (agent->using == CERT_IDENTITY_BOOTSTRAP) {
        enrollment_begin(agent, now_ms);
    } else {
        agent->refusals = agent->using == CERT_IDENTITY_OPERATIONAL ? 0 : agent->refusals;
        promote_enrolled(agent);
        rotation_begin(agent);
    }
    store_wipe_identity(&agent->candidate);
}

void cert_agent_disconnected(cert_agent_t *agent, uint32_t connection, cert_failure_t why, const char *detail,
                             uint64_t now_ms)
{
    bool was_online = agent->phase == CERT_PHASE_ONLINE;
    if (connection != agent->connection || (!was_online && agent->phase != CERT_PHASE_CONNECTING)) {
        return;
    }
    cert_identity_kind_t used = agent->using;
    agent->last_failure = why;
    agent->has_failed = true;
    if (was_online && now_ms >= agent->wake_at_ms) {
        agent->failures = 0;
    }
    uint32_t delay_ms = agent_next_backoff(agent);
    agent_log(agent, CERT_LOG_WARN, "disconnected: identity=%s why=%s retry_ms=%u detail=\"%s\"",
              agent_identity_name(used), failure_name(why), (unsigned)delay_ms, detail != NULL ? detail : "");
    wait_until(agent, now_ms + delay_ms);
    if (why == CERT_FAILURE_SERVER_UNTRUSTED) {
        trust_update_failed(agent);
    }
    count_failure(agent, why);
}

void cert_agent_delivered(cert_agent_t *agent, uint32_t connection)
{
    if (agent->phase == CERT_PHASE_ONLINE && connection == agent->connection &&
        connection == agent->report_connection && agent->record.rolled_back_id[0] != '\0') {
        staging_forget_rolled_back(agent);
    }
}

static const char *after_prefix(const char *topic, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(topic, prefix, len) == 0 ? topic + len : NULL;
}

void cert_agent_message(cert_agent_t *agent, uint32_t connection, const char *topic, uint8_t *payload, size_t len,
                        uint64_t now_ms)
{
    if (connection == agent->connection && agent->phase == CERT_PHASE_ONLINE) {
        char prefix[CERT_TOPIC_MAX];
        bool enrolling = agent->using == CERT_IDENTITY_BOOTSTRAP;
        topic_of(agent, enrolling ? "bootstrap" : "devices", enrolling ? "enroll/" : "certs/", prefix);
        const char *leaf = after_prefix(topic, prefix);
        if (leaf != NULL && enrolling) {
            enrollment_message(agent, leaf, payload, len, now_ms);
        } else if (leaf != NULL) {
            rotation_message(agent, leaf, payload, len, now_ms);
        }
        store_wipe_identity(&agent->candidate);
    }
    mbedtls_platform_zeroize(payload, len);
}

static void repeat_request(cert_agent_t *agent, uint64_t now_ms)
{
    uint32_t delay_ms = REQUEST_REPEAT_MAX_MS;
    agent->repeats++;
    if (agent->repeats < 6) {
        delay_ms = (uint32_t)REQUEST_REPEAT_MIN_MS << agent->repeats;
    }
    repeat_after(agent, delay_ms < REQUEST_REPEAT_MAX_MS ? delay_ms : REQUEST_REPEAT_MAX_MS);
    if (agent->using == CERT_IDENTITY_BOOTSTRAP) {
        enrollment_repeat(agent, now_ms);
    } else {
        rotation_repeat(agent);
    }
}

/* Milliseconds from `now_ms` to `when_ms`, at most TICK_MAX_MS. */
static uint32_t time_to(uint64_t when_ms, uint64_t now_ms)
{
    uint64_t left = when_ms > now_ms ? when_ms - now_ms : 0;
    return left < TICK_MAX_MS ? (uint32_t)left : TICK_MAX_MS;
}

uint32_t cert_agent_tick(cert_agent_t *agent, uint64_t now_ms)
{
    if (agent->phase == CERT_PHASE_WAITING && now_ms >= agent->wake_at_ms) {
        open_connection(agent, now_ms);
    } else if (agent->phase == CERT_PHASE_CONNECTING && now_ms >= agent->wake_at_ms) {
        agent->port->disconnect(agent->port->ctx);
        cert_agent_disconnected(agent, agent->connection, CERT_FAILURE_NETWORK, "no answer", now_ms);
    } else if (agent->phase == CERT_PHASE_ONLINE) {
        if (agent->repeat_after_ms != 0 && agent->repeat_at_ms == 0) {
            agent->repeat_at_ms = now_ms + agent->repeat_after_ms;
        } else if (agent->repeat_after_ms != 0 && now_ms >= agent->repeat_at_ms) {
            repeat_request(agent, now_ms);
        }
        rotation_renew_if_due(agent, now_ms);
    }
    store_wipe_identity(&agent->candidate);
    if (agent->phase == CERT_PHASE_WAITING || agent->phase == CERT_PHASE_CONNECTING) {
        return time_to(agent->wake_at_ms, now_ms);
    }
    return agent->repeat_after_ms != 0 ? time_to(agent->repeat_at_ms, now_ms) : TICK_MAX_MS;
}

cert_status_t cert_agent_factory_reset(cert_agent_t *agent)
{
    for (cert_slot_t slot = CERT_SLOT_A; slot <= CERT_SLOT_B; slot++) {
        cert_status_t status = store_erase_slot(agent->port, slot);
        if (status != CERT_OK) {
            return status;
        }
    }
    cert_commit_record_t empty = { 0 };
    cert_status_t status = time_floor_forget(agent->port);
    if (status == CERT_OK) {
        status = store_write_record(agent->port, &empty);
    }
    if (status == CERT_OK) {
        agent->record = empty;
        agent_log(agent, CERT_LOG_WARN, "factory-reset: the operational identity has been erased");
        agent->port->restart(agent->port->ctx);
    }
    return status;
}

void cert_agent_status_line(const cert_agent_t *agent, char *out, size_t cap)
{
    char not_after[CIVIL_TIME_TEXT_MAX] = "none";
    if (agent->config == NULL) {
        snprintf(out, cap, "status: phase=%s", phase_name(agent->phase));
        return;
    }
    bool has_certificate = agent->summary.id[0] != '\0';
    if (has_certificate) {
        civil_time_format(agent->summary.not_after, not_after);
    }
    snprintf(
        out, cap,
        "status: id=%s phase=%s identity=%s slot=%s generation=%u certificate=%s not_after=%s trial=%s refusals=%u "
        "last_failure=%s keys=%s",
        agent->config->device_id, phase_name(agent->phase), agent_identity_name(agent->using),
        store_slot_name(agent->record.current), (unsigned)agent->record.generation,
        has_certificate ? agent->summary.id : "none", not_after, store_slot_name(agent->record.trial),
        (unsigned)agent->refusals, agent->has_failed ? failure_name(agent->last_failure) : "none",
        key_kind_name(agent->key_backend->kind));
}
