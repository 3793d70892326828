/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The certificate agent: the state machine that enrols a device, keeps its identity fresh and never loses it.
 *
 * The agent does no I/O. The port tells it what happened through the functions below; it answers by calling the port's
 * functions (cert_port.h) before it returns. One thread drives one agent; the functions are not reentrant. Calls may
 * take as long as making a key takes (EC P-256: milliseconds; RSA on a small chip: up to a minute), so give the agent a
 * thread of its own. After cert_agent_init() the core allocates nothing itself; mbedTLS and cJSON use the heap within a
 * call (and the core for a moment, to find out whether memory is short).
 *
 * Times called `now_ms` are milliseconds of any clock that never goes back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_identity.h"
#include "cert_mgmt/cert_key_backend.h"
#include "cert_mgmt/cert_port.h"
#include "cert_mgmt/cert_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Refusals, or boots, after which a trial ends and the device goes back to the identity it had. */
#ifdef CONFIG_CERT_MGMT_TRIAL_LIMIT
#define CERT_TRIAL_LIMIT CONFIG_CERT_MGMT_TRIAL_LIMIT
#else
#define CERT_TRIAL_LIMIT 3
#endif

/**
 * Ambiguous failures in a row, or boots on a trial that lose the boot-surviving RAM, after which another identity is
 * tried for comparison. Nothing is given up for them alone: a trial ends only if the identity before it gets through.
 */
#define CERT_AMBIGUOUS_LIMIT 10

/** Refusals in a row of the operational identity after which the bootstrap identity is tried as well. */
#define CERT_REFUSALS_BEFORE_BOOTSTRAP 5

/** Share of a certificate's lifetime after which the device asks for a new one by itself, in percent. */
#define CERT_RENEW_AT_PERCENT 85

/** @brief What never changes while the agent runs. The agent keeps the pointers; the caller owns what they point to. */
typedef struct {
    const char *device_id;           /*!< [A-Za-z0-9][A-Za-z0-9_-]{2,63} */
    const char *bootstrap_chain_pem; /*!< Bootstrap certificate (chain), PEM, NUL-terminated */
    const uint8_t *bootstrap_key;    /*!< Its private key, DER, or PEM with `bootstrap_key_len` counting the NUL */
    size_t bootstrap_key_len;
    const char *anchors_pem;         /*!< Trust anchors from the factory: root certificates of the cloud, PEM, at most
                                        CERT_ANCHORS_PEM_MAX */
    cert_key_type_t key_type;        /*!< Type of the keys made for enrolment and for renewal by the device itself */
    const cert_key_backend_t *key_backend; /*!< How this device keeps the keys it makes; NULL: software */
    int64_t build_time; /*!< A time known to be past, seconds since 1970: the first time floor; 0 if there is none */
    uint32_t backoff_min_ms;         /*!< First delay after a failed connection, before jitter */
    uint32_t backoff_max_ms;         /*!< Longest delay, before jitter */
    bool reboot_on_rotation; /*!< Restart the device to take up a staged identity, instead of only reconnecting */
    const char *hardware;    /*!< What the device is, told at enrolment, e.g. "esp32c3"; at most 64 characters */
    const char *firmware;            /*!< Version of the firmware, told at enrolment; at most 64 characters */
} cert_agent_config_t;

/** @brief What the agent is doing. */
typedef enum {
    CERT_PHASE_STOPPED,    /*!< Not booted, or the store cannot be used */
    CERT_PHASE_WAITING,    /*!< Between two connections */
    CERT_PHASE_CONNECTING, /*!< Waits for the port's answer */
    CERT_PHASE_ONLINE,     /*!< Connected */
} cert_phase_t;

/**
 * @brief One agent. Allocate it statically or on the heap (about 36 KB), hand it to cert_agent_init() and treat it as
 * opaque: the members are for the core alone.
 */
typedef struct {
    const cert_agent_config_t *config;
    const cert_port_t *port;
    const cert_key_backend_t *key_backend;

    /* The store and what it says */
    cert_commit_record_t record;
    cert_identity_t identity;     /* the identity the connection uses; empty on bootstrap */
    cert_summary_t summary;       /* of `identity` */
    cert_identity_t candidate;    /* pending or being checked; valid only where a function says so */
    int64_t time_floor;

    /* Trust anchors */
    cert_trust_set_t trust;       /* the set in use */
    cert_trust_set_t trust_next;  /* valid only while a message about it is handled */
    bool trust_on_trial;

    /* The connection */
    cert_phase_t phase;
    cert_identity_kind_t using;
    uint32_t connection;
    uint64_t wake_at_ms;          /* end of WAITING */
    uint32_t failures;            /* in a row, for the backoff */
    uint32_t refusals;            /* in a row, of the operational identity */
    uint32_t ambiguous;           /* in a row: server reached, connection closed without a reason */
    bool bootstrap_next;          /* operational identity refused: bootstrap's turn */
    cert_failure_t last_failure;
    bool has_failed;

    /* The request that waits for an answer */
    uint32_t repeat_after_ms;     /* 0: nothing to repeat */
    uint64_t repeat_at_ms;        /* 0: counted from the next tick, for making the request may have taken long */
    uint32_t repeats;
    uint32_t key_failures;        /* in a row: its key counts as corrupt */
    uint64_t renew_at_ms;         /* earliest time of the next renewal by ourselves */

    /* The connection over which a rolled-back trial was reported last; 0: none */
    uint32_t report_connection;

    uint8_t blob[CERT_SLOT_BLOB_MAX]; /* a slot as it is stored */
    char out[CERT_MESSAGE_MAX + 1];   /* the message being built */
} cert_agent_t;

/**
 * @brief Prepare an agent. Touches neither the store nor the network.
 * @return CERT_OK; CERT_ERR_INVALID_ARG (a required setting is missing or the device id is malformed);
 *         CERT_ERR_INTERNAL (PSA Crypto does not start)
 */
cert_status_t cert_agent_init(cert_agent_t *agent, const cert_agent_config_t *config, const cert_port_t *port);

/**
 * @brief The device has started: read the store, count the boot, decide who to be. The first connection is asked for by
 * the next cert_agent_tick().
 *
 * What a loss of power interrupted is finished in the store. If that cannot be written, the device goes on with what it
 * has read, and the next start tries again.
 * @return CERT_OK; CERT_ERR_STORAGE (the store cannot be read), CERT_ERR_INTERNAL (for want of memory): nothing was
 *         changed and the agent stays stopped, call again after a while; CERT_ERR_NEWER_FORMAT: as well, but another
 *         call is of no use
 */
cert_status_t cert_agent_boot(cert_agent_t *agent, uint64_t now_ms);

/** @brief The connection asked for is up: TLS done and CONNACK accepted. Events of an older connection are ignored. */
void cert_agent_connected(cert_agent_t *agent, uint32_t connection, uint64_t now_ms);

/**
 * @brief The connection asked for could not be made, or ended.
 * @param detail  What the platform says about it, for the log; no secrets. May be NULL.
 */
void cert_agent_disconnected(cert_agent_t *agent, uint32_t connection, cert_failure_t why, const char *detail,
                             uint64_t now_ms);

/**
 * @brief A message has arrived, complete.
 * @param payload  Any bytes; may hold a private key and is wiped before the call returns.
 */
void cert_agent_message(cert_agent_t *agent, uint32_t connection, const char *topic, uint8_t *payload, size_t len,
                        uint64_t now_ms);

/**
 * @brief The server has acknowledged all that was published over the connection so far. Tell as often as that becomes
 * true. What must not be lost is kept in the store until then.
 */
void cert_agent_delivered(cert_agent_t *agent, uint32_t connection);

/**
 * @brief Let time pass: connect when it is time, repeat what was not answered, renew what expires.
 * @return Milliseconds after which to call again at the latest. Call it after every event as well.
 */
uint32_t cert_agent_tick(cert_agent_t *agent, uint64_t now_ms);

/**
 * @brief Forget the operational identity, anything on trial, and the time floor; the bootstrap identity and proven
 * trust anchors stay. Restarts the device.
 * @return CERT_OK; CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL: the device was not restarted, and one slot, or both, may be
 *         gone already
 */
cert_status_t cert_agent_factory_reset(cert_agent_t *agent);

/**
 * @brief One line on the device's state: who am I, which slot, until when, last failure, trial.
 * @param out  At least CERT_LOG_LINE_MAX bytes; always NUL-terminated.
 */
void cert_agent_status_line(const cert_agent_t *agent, char *out, size_t cap);

#ifdef __cplusplus
}
#endif
