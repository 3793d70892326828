/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What the certificate core needs from the platform it runs on.
 *
 * The core has no I/O of its own. A port fills in one cert_port_t and then tells the agent (cert_agent.h) what
 * happened. All functions are called from the thread that calls the agent, never from elsewhere, and must not call back
 * into the agent: results that take time are reported later, as events.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_limits.h"
#include "cert_mgmt/cert_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @brief Which identity a connection is made with; it also names the listener: bootstrap has one of its own. */
typedef enum {
    CERT_IDENTITY_BOOTSTRAP,   /*!< Shared, from the factory, good only for enrolling */
    CERT_IDENTITY_OPERATIONAL, /*!< The device's own, proven */
    CERT_IDENTITY_TRIAL,       /*!< The device's own, staged, not yet proven */
} cert_identity_kind_t;

/** @brief How a key reference is to be understood. The numbers are stored: never renumber. */
typedef enum {
    CERT_KEY_KIND_SOFTWARE = 0, /*!< The reference is the private key: SEC1 or PKCS#1 in DER */
    CERT_KEY_KIND_HMAC = 1,     /*!< The reference is a salt: cert_key_hmac.h derives the key from it and the chip */
    CERT_KEY_KIND_DS = 2,       /*!< The reference is sealed for the chip: cert_key_ds.h */
} cert_key_kind_t;

/** @brief Why a connection could not be made, or ended. */
typedef enum {
    CERT_FAILURE_NETWORK,          /*!< Nobody answered, or an established connection broke */
    CERT_FAILURE_IDENTITY_REFUSED, /*!< The server said that it does not accept our certificate */
    CERT_FAILURE_SERVER_UNTRUSTED, /*!< We did not accept the server's certificate */
    CERT_FAILURE_UNKNOWN,          /*!< The server was reached and closed without saying why */
} cert_failure_t;

/** @brief Severity of a reported line. */
typedef enum {
    CERT_LOG_ERROR,
    CERT_LOG_WARN,
    CERT_LOG_INFO,
    CERT_LOG_DEBUG,
} cert_log_level_t;

/**
 * @brief Everything needed to open one MQTT connection over mutual TLS.
 *
 * All pointers belong to the agent and stay valid and unchanged until the connection has ended: the port has reported
 * that, or the agent has called `disconnect`. So a port must not reconnect by itself.
 */
typedef struct {
    uint32_t connection;           /*!< Number of this connection; every event about it carries the number back */
    cert_identity_kind_t
        identity; /*!< CERT_IDENTITY_BOOTSTRAP goes to the bootstrap listener, the others to the operational one */
    const char *client_id;         /*!< MQTT client id = device id */
    const char *chain_pem;         /*!< Our certificate chain, leaf first, PEM, NUL-terminated */
    cert_key_kind_t key_kind;      /*!< What `key` is */
    const uint8_t *key;            /*!< Key reference; a bootstrap key may be PEM, then `key_len` counts its NUL */
    size_t key_len;
    const char *anchors_pem;       /*!< What the server's chain must verify to, PEM, NUL-terminated */
} cert_connect_t;

/**
 * @brief RAM that survives a restart but not a loss of power (RTC memory; a file on Linux).
 *
 * Any content is legal: the boot guard checks it. Touched only by the core.
 */
typedef struct {
    uint32_t magic;
    uint32_t boots; /*!< Boots since the running trial was staged */
    uint32_t crc;   /*!< CRC-32 of the two fields before */
} cert_boot_ram_t;

/** @brief The platform, as the core sees it. Every member is required. */
typedef struct {
    void *ctx; /*!< Handed to every function unchanged */

    /**
     * @brief Read a stored value.
     * @param key       Name of 1..15 characters from [a-z_].
     * @param[out] len  Bytes read.
     * @return CERT_OK, CERT_ERR_NOT_FOUND, CERT_ERR_TOO_LARGE (longer than `cap`), CERT_ERR_STORAGE
     */
    cert_status_t (*kv_read)(void *ctx, const char *key, uint8_t *buf, size_t cap, size_t *len);

    /**
     * @brief Replace a stored value: after a loss of power at any moment the old or the new value is there, never a
     * mix. On return the value is on the medium.
     * @return CERT_OK; CERT_ERR_STORAGE_FULL, CERT_ERR_STORAGE: the old value is then still there, or (if only the last
     *         step has failed, which brings the change to the medium) the new one, until the power is lost or for good
     */
    cert_status_t (*kv_write)(void *ctx, const char *key, const uint8_t *data, size_t len);

    /**
     * @brief Erase a stored value; CERT_OK also when there is none. The old bytes are overwritten where the medium can.
     */
    cert_status_t (*kv_erase)(void *ctx, const char *key);

    /** @brief The boot-surviving RAM. Never NULL. */
    cert_boot_ram_t *(*boot_ram)(void *ctx);

    /** @brief Seconds since 1970-01-01 UTC, or 0 while the platform does not know the time. */
    int64_t (*wall_clock)(void *ctx);

    /** @brief Fill with bytes fit for identifiers and jitter. Keys are made by PSA Crypto, not from here. */
    void (*random)(void *ctx, uint8_t *buf, size_t len);

    /**
     * @brief Begin to connect; ends a connection that is still open. Answered by cert_agent_connected() or
     * cert_agent_disconnected(). The MQTT session is clean: nothing is queued for the device while it is away.
     */
    void (*connect)(void *ctx, const cert_connect_t *request);

    /** @brief End the connection after what was published has been handed to the network. No event is due for it. */
    void (*disconnect)(void *ctx);

    /** @brief Subscribe, QoS 1. What is published afterwards reaches the server after the subscription. */
    void (*subscribe)(void *ctx, const char *topic);

    /**
     * @brief Publish, QoS 1, not retained. The payload is copied.
     * @return CERT_OK once it is queued; CERT_ERR_STORAGE_FULL, CERT_ERR_INTERNAL otherwise (the agent repeats what
     *         matters)
     */
    cert_status_t (*publish)(void *ctx, const char *topic, const char *payload, size_t len);

    /** @brief Restart the device. May return: then the restart happens after the running agent call. */
    void (*restart)(void *ctx);

    /** @brief Take one line of at most CERT_LOG_LINE_MAX characters for the log. It never contains a secret. */
    void (*log)(void *ctx, cert_log_level_t level, const char *line);
} cert_port_t;

#ifdef __cplusplus
}
#endif
