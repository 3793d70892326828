/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority.h"
#include "cert_mgmt/cert_agent.h"
#include "cloud.h"
#include "mbedtls_compat.h"
#include "nvs_flash.h"
#include "nvs_store.h"
#include "power.h"

#define EVENTS_MAX 200

static const story_t *s_story;
static cert_agent_t s_agent;
static cert_boot_ram_t s_boot_ram;
static uint64_t s_now_ms;
static cert_connect_t s_request;
static bool s_wants_connection;
static bool s_wants_restart;
static bool s_is_wrong;

/* What the lives so far have shown */
static bool s_had_identity;
static uint32_t s_generation;
static uint32_t s_trust_version; /* of the anchors a server has been verified with */

static void wrong(const char *rule)
{
    printf("%s: %s\n", s_story->name, rule);
    s_is_wrong = true;
}

/* ---------------------------------------------------------------- stories */

static void reset(void)
{
    if (cert_agent_factory_reset(&s_agent) != CERT_OK && power_state() == POWER_IS_ON) {
        wrong("the factory reset failed");
    }
}

const story_t story_enrollment = { .name = "first enrolment" };

const story_t story_rotation_pushed = { .name = "rotation, pushed", .is_enrolled = true, .act = cloud_push_rotation };

const story_t story_rotation_by_csr = { .name = "rotation by CSR", .is_enrolled = true, .act = cloud_order_rotation };

const story_t story_roll_back = {
    .name = "roll-back",
    .is_enrolled = true,
    .refuses_trial = true,
    .act = cloud_push_rotation,
};

const story_t story_trust_update = {
    .name = "trust update",
    .is_enrolled = true,
    .updates_trust = true,
    .act = cloud_push_trust,
};

const story_t story_factory_reset = { .name = "factory reset", .is_enrolled = true, .forgets = true, .act = reset };

/* ---------------------------------------------------------------- the port */

static cert_status_t kv_read(void *ctx, const char *key, uint8_t *buf, size_t cap, size_t *len)
{
    return nvs_store_read(key, buf, cap, len);
}

static cert_status_t kv_write(void *ctx, const char *key, const uint8_t *data, size_t len)
{
    return nvs_store_write(key, data, len);
}

static cert_status_t kv_erase(void *ctx, const char *key)
{
    return nvs_store_erase(key);
}

static cert_boot_ram_t *boot_ram(void *ctx)
{
    return &s_boot_ram;
}

static int64_t wall_clock(void *ctx)
{
    return AUTHORITY_NOW;
}

static void fill_random(void *ctx, uint8_t *buf, size_t len)
{
    psa_generate_random(buf, len);
}

static void connect_to_cloud(void *ctx, const cert_connect_t *request)
{
    s_request = *request;
    s_wants_connection = true;
}

static void disconnect(void *ctx)
{
    s_wants_connection = false;
}

static void subscribe(void *ctx, const char *topic)
{
}

static cert_status_t publish(void *ctx, const char *topic, const char *payload, size_t len)
{
    cloud_receive(s_request.identity, topic, payload, len);
    return CERT_OK;
}

static void restart(void *ctx)
{
    s_wants_restart = true;
}

static void report(void *ctx, cert_log_level_t level, const char *line)
{
}

static const cert_port_t s_port = {
    .kv_read = kv_read,
    .kv_write = kv_write,
    .kv_erase = kv_erase,
    .boot_ram = boot_ram,
    .wall_clock = wall_clock,
    .random = fill_random,
    .connect = connect_to_cloud,
    .disconnect = disconnect,
    .subscribe = subscribe,
    .publish = publish,
    .restart = restart,
    .log = report,
};

/* ---------------------------------------------------------------- the rules */

/* What the one signs, the other verifies. */
static bool key_matches(mbedtls_x509_crt *certificate, mbedtls_pk_context *key)
{
    static const uint8_t hash[32];
    uint8_t signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len;
    return compat_pk_sign(key, hash, sizeof(hash), signature, sizeof(signature), &len) == 0 &&
           mbedtls_pk_verify(&certificate->pk, MBEDTLS_MD_SHA256, hash, sizeof(hash), signature, len) == 0;
}

static bool key_is_of_certificate(void)
{
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_x509_crt_init(&chain);
    mbedtls_pk_init(&key);
    const unsigned char *pem = (const unsigned char *)s_request.chain_pem;
    bool matches = mbedtls_x509_crt_parse(&chain, pem, strlen(s_request.chain_pem) + 1) == 0 &&
                   compat_pk_parse_key(&key, s_request.key, s_request.key_len) == 0 &&
                   key_matches(&chain, &key);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&chain);
    return matches;
}

static void check_identity(void)
{
    if (s_request.identity != CERT_IDENTITY_BOOTSTRAP && !key_is_of_certificate()) {
        wrong("the key is not that of the certificate");
    } else if (s_request.identity == CERT_IDENTITY_BOOTSTRAP && s_had_identity && !s_story->forgets) {
        wrong("the identity is lost");
    }
}

static void check_trust(void)
{
    if (s_agent.trust.version < s_trust_version) {
        wrong("the trust anchors went back");
    } else if (!s_agent.trust_on_trial) {
        s_trust_version = s_agent.trust.version;
    }
}

/* Not what the program believes whose power is gone: NVS of ESP-IDF 6.0 may open then, and find nothing. */
static void check_record(void)
{
    const cert_commit_record_t *record = &s_agent.record;
    if (power_state() != POWER_IS_ON) {
        return;
    }
    check_trust();
    if (s_story->forgets) {
        return;
    }
    if (record->generation < s_generation) {
        wrong("the generation went back");
    }
    s_generation = record->generation;
    s_had_identity = s_had_identity || record->current != CERT_SLOT_NONE || record->trial != CERT_SLOT_NONE;
}

/* ---------------------------------------------------------------- a life */

void device_forget(void)
{
    s_had_identity = false;
    s_generation = 0;
    s_trust_version = 0;
}

static void boot(void)
{
    static cert_agent_config_t config;
    config = (cert_agent_config_t) {
        .device_id = CLOUD_DEVICE,
        .bootstrap_chain_pem = authority_root_pem(), /* any will do: this cloud does not look at it */
        .bootstrap_key = (const uint8_t *)"",
        .anchors_pem = authority_root_pem(),
        .key_type = CERT_KEY_EC_P256,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 60000,
        .hardware = "linux",
        .firmware = "1.0.0",
    };
    const char *topic;
    free(cloud_take_message(&topic));
    s_now_ms = 0;
    s_wants_restart = false;
    s_wants_connection = false;
    (void)nvs_flash_deinit_partition("certs"); /* not initialised at the first boot */
    bool is_up = nvs_store_open() == ESP_OK && cert_agent_init(&s_agent, &config, &s_port) == CERT_OK &&
                 cert_agent_boot(&s_agent, s_now_ms) == CERT_OK;
    if (is_up) {
        check_record();
    } else if (power_state() == POWER_IS_ON) {
        wrong("the store does not open");
    }
}

static void answer_connect(void)
{
    s_wants_connection = false;
    check_identity();
    if (s_story->refuses_trial && s_request.identity == CERT_IDENTITY_TRIAL) {
        cert_agent_disconnected(&s_agent, s_request.connection, CERT_FAILURE_IDENTITY_REFUSED, NULL, s_now_ms);
    } else {
        cert_agent_connected(&s_agent, s_request.connection, s_now_ms);
    }
}

static bool deliver(void)
{
    const char *topic;
    char *payload = cloud_take_message(&topic);
    if (payload == NULL) {
        return false;
    }
    cert_agent_message(&s_agent, s_agent.connection, topic, (uint8_t *)payload, strlen(payload), s_now_ms);
    free(payload);
    return true;
}

/* Let one thing happen. */
static void happen(void)
{
    if (s_wants_restart) {
        boot();
    } else if (deliver()) {
        check_record();
    } else if (s_wants_connection) {
        answer_connect();
        check_record();
    } else {
        s_now_ms += cert_agent_tick(&s_agent, s_now_ms);
    }
}

static bool is_settled(void)
{
    return s_agent.phase == CERT_PHASE_ONLINE && s_agent.using == CERT_IDENTITY_OPERATIONAL && !s_wants_restart;
}

static bool has_reached(uint32_t goal)
{
    if (s_story->updates_trust) {
        return s_agent.trust.version == goal && !s_agent.trust_on_trial;
    }
    return s_agent.record.generation == goal;
}

/* Do what the story is about; how far it has to come. */
static uint32_t begin(void)
{
    uint32_t generation = s_agent.record.generation + !s_story->refuses_trial;
    s_story->act();
    if (s_story->updates_trust) {
        return cloud_trust_version();
    }
    return s_story->forgets ? 1 : generation;
}

life_end_t device_live(const story_t *story)
{
    bool has_begun = story->act == NULL;
    uint32_t goal = 1;
    s_story = story;
    s_is_wrong = false;
    boot();
    for (int events = 0; events < EVENTS_MAX && power_state() == POWER_IS_ON && !s_is_wrong; events++) {
        if (is_settled() && has_begun && has_reached(goal)) {
            return LIFE_DONE;
        }
        if (is_settled() && !has_begun) {
            has_begun = true;
            goal = begin();
        }
        happen();
    }
    if (power_state() == POWER_IS_ON && !s_is_wrong) {
        wrong("the story does not end");
    }
    memset(&s_boot_ram, 0xA5, sizeof(s_boot_ram));
    return s_is_wrong ? LIFE_WRONG : LIFE_CUT;
}
