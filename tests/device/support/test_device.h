/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A device to test: an agent on a fake platform, and the smallest cloud that can answer it.
 */
#pragma once

#include <cJSON.h>

#include "cert_mgmt/cert_agent.h"
#include "fake_port.h"
#include "test_pki.h"

/** Topics of TEST_DEVICE. */
#define TOPIC_ENROLL "bootstrap/" TEST_DEVICE "/enroll"
#define TOPIC_ACCEPTED "bootstrap/" TEST_DEVICE "/enroll/accepted"
#define TOPIC_REJECTED "bootstrap/" TEST_DEVICE "/enroll/rejected"
#define TOPIC_ROTATE "devices/" TEST_DEVICE "/certs/rotate"
#define TOPIC_CSR "devices/" TEST_DEVICE "/certs/csr"
#define TOPIC_ISSUED "devices/" TEST_DEVICE "/certs/issued"
#define TOPIC_ROTATION_REJECTED "devices/" TEST_DEVICE "/certs/rejected"
#define TOPIC_STATUS "devices/" TEST_DEVICE "/certs/status"
#define TOPIC_COMMIT "devices/" TEST_DEVICE "/certs/commit"
#define TOPIC_TRUST "devices/" TEST_DEVICE "/certs/trust"

/** An order to rotate on a key that the device makes. */
#define ROTATE_BY_CSR(id, key) "{\"rotation_id\":\"" id "\",\"mode\":\"csr\",\"key\":\"" key "\"}"

/** @brief The device and its surroundings. */
typedef struct {
    test_pki_t pki;
    fake_port_t fake;
    cert_port_t port;
    cert_agent_config_t config;
    cert_agent_t agent;
    uint64_t now_ms;
    char certificate_id[CERT_ID_LEN + 1]; /* of the certificate the cloud issued last */
} test_device_t;

/**
 * @brief Software keys that pass for another firmware's: a firmware without this backend cannot use them.
 * @param[out] public_key_status  Where to set what `public_key` returns unless CERT_OK; CERT_OK to begin with.
 */
cert_key_backend_t test_other_backend(cert_status_t *public_key_status);

/** @brief A device that has never been switched on, in memory that is all zero. Release with pki_free(). */
void test_device_prepare(test_device_t *device);

/** @brief cmocka set-up and tear-down: *state becomes a test_device_t that has never been switched on. */
int test_device_setup(void **state);
int test_device_teardown(void **state);

/** @brief cmocka set-up: an enrolled device, online with its own certificate. */
int test_device_setup_online(void **state);

/** A cmocka test of such a device. */
#define ONLINE(test) cmocka_unit_test_setup_teardown(test, test_device_setup_online, test_device_teardown)

/** @brief Switch it on, or on again after a restart: a new agent finds what the medium holds. */
void device_boot(test_device_t *device);

/** @brief As device_boot(), after a loss of power: the boot-surviving RAM holds garbage. */
void device_power_cycle(test_device_t *device);

/** @brief Let the agent do what is due. */
void device_tick(test_device_t *device);

/** @brief Move the clock to the moment at which the agent wants to be called, and call it. */
void device_wait(test_device_t *device);

/** @brief The server accepts the connection that was asked for. */
void device_connected(test_device_t *device);

/** @brief The server has acknowledged all that the device has published. */
void device_delivered(test_device_t *device);

/** @brief The connection failed, or ended; then wait for the next attempt. */
void device_failed(test_device_t *device, cert_failure_t why);

/** @brief A message arrives, and the agent does what is due. */
void device_receive(test_device_t *device, const char *topic, const char *payload);

/** @brief From factory-new to connected with its own certificate. */
void device_enroll(test_device_t *device);

/** @brief Online with a pushed certificate that waits for its commit. */
void device_begin_trial(test_device_t *device, const char *rotation_id);

/** @brief Assert that the device is who it was after device_enroll(): generation 1 in slot A, nothing on trial. */
void assert_unchanged(const test_device_t *device);

/** @brief What the device said last on a topic, as JSON; fails the test if it said nothing. Free with cJSON_Delete().
 */
cJSON *device_said(test_device_t *device, const char *topic);

/** @brief Assert a string field of what the device said last on a topic. */
void assert_said(test_device_t *device, const char *topic, const char *field, const char *value);

/** @brief Assert that the device rejected, with this code, and has changed nothing it stores. */
void assert_rejected(test_device_t *device, const char *code);

/** @brief An answer of the cloud to the request last seen on TOPIC_ENROLL or TOPIC_CSR. Free with free(). */
char *cloud_answer(test_device_t *device, const char *request_topic, const test_leaf_t *leaf);

/** @brief A good answer to the request last seen on TOPIC_CSR. Free with free(). */
char *cloud_answer_csr(test_device_t *device);

/** @brief The message that pushes a certificate and its key. @param rotation_id  NULL: none. Free with free(). */
char *cloud_push(test_device_t *device, const char *rotation_id, const char *certificate, const char *key_pem);

/** @brief A good certificate on a new key, pushed. Free with free(). */
char *cloud_push_good(test_device_t *device, const char *rotation_id);

/** @brief The message that commits the certificate issued last. Free with free(). */
char *cloud_commit(test_device_t *device, const char *rotation_id);

/** @brief The message that replaces the anchors by those in `pems`, signed by `signer`. Free with free(). */
char *cloud_trust(const test_authority_t *signer, uint32_t version, char *const *pems, size_t count);

/** @brief The order to trust the old root and the foreign one. Free with free(). */
char *cloud_trust_good(test_device_t *device, uint32_t version);

/** @brief Receive a message made by one of the functions above, and free it. */
void device_receive_from(test_device_t *device, const char *topic, char *payload);
