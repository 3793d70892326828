/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mqtt_link.h"

#include <stdio.h>
#include <string.h>

#include "esp_log.h"
#include "event_queue.h"
#include "failure.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "keys.h"
#include "mqtt_client.h"
#include "network_watch.h"

#define LAST_WILL "{\"state\":\"lost\"}"
#define DRAIN_TIMEOUT_MS 1000
#define DRAIN_STEP_MS 20

static const char *TAG = "cert_agent";

/* Written by the agent's task while there is no client, by esp-mqtt's handler while there is one. */
static struct {
    esp_mqtt_client_handle_t client;
    uint32_t connection;
    bool is_up;
    bool has_ended;               /* EVENT_DISCONNECTED is posted */
    esp_mqtt_error_codes_t error; /* the last one reported */
    event_message_t *incoming;    /* the message whose fragments are being collected */
} s_link;

/* ---------------------------------------------------------------- what esp-mqtt reports, mostly from its own task */

static void post_end(cert_failure_t why, const char *detail)
{
    if (s_link.has_ended) {
        return;
    }
    s_link.has_ended = true;
    event_t event = { .type = EVENT_DISCONNECTED, .connection = s_link.connection, .disconnected.why = why };
    strlcpy(event.disconnected.detail, detail, sizeof(event.disconnected.detail));
    event_queue_post(&event);
}

static void on_connected(void)
{
    s_link.is_up = true;
    const event_t event = { .type = EVENT_CONNECTED, .connection = s_link.connection };
    event_queue_post(&event);
}

/* The acknowledged message has left the outbox by now. */
static void on_published(esp_mqtt_client_handle_t client)
{
    if (esp_mqtt_client_get_outbox_size(client) == 0) {
        const event_t event = { .type = EVENT_DELIVERED, .connection = s_link.connection };
        event_queue_post(&event);
    }
}

static void on_disconnected(void)
{
    char detail[sizeof(((event_t *)0)->disconnected.detail)];
    cert_failure_t why = failure_classify(&s_link.error, s_link.is_up, detail, sizeof(detail));
    /* A link that goes breaks off whatever is going on, a handshake too; it says nothing about our identity. */
    post_end(network_watch_is_up() ? why : CERT_FAILURE_NETWORK, detail);
}

static void begin_message(const esp_mqtt_event_t *data)
{
    event_message_free(s_link.incoming);
    s_link.incoming = NULL;
    size_t total = (size_t)data->total_data_len;
    if (data->topic_len >= CERT_TOPIC_MAX) {
        ESP_LOGW(TAG, "a message on a topic of %d characters was dropped", data->topic_len);
        return;
    }
    /* One byte more than is allowed is enough for the agent to see that a message is too large, and to refuse it. */
    s_link.incoming = event_message_new(total > CERT_MESSAGE_MAX ? CERT_MESSAGE_MAX + 1 : total);
    if (s_link.incoming == NULL) {
        ESP_LOGE(TAG, "no memory for a message of %u bytes, dropped", (unsigned)total);
        return;
    }
    memcpy(s_link.incoming->topic, data->topic, (size_t)data->topic_len);
    s_link.incoming->topic[data->topic_len] = '\0';
}

static void on_data(const esp_mqtt_event_t *data)
{
    if (data->current_data_offset == 0) {
        begin_message(data);
    }
    event_message_t *message = s_link.incoming;
    if (message == NULL) {
        return;
    }
    size_t offset = (size_t)data->current_data_offset;
    size_t len = (size_t)data->data_len;
    if (offset < message->len) {
        size_t room = message->len - offset;
        memcpy(message->payload + offset, data->data, len < room ? len : room);
    }
    if (data->current_data_offset + data->data_len >= data->total_data_len) {
        s_link.incoming = NULL;
        const event_t event = { .type = EVENT_MESSAGE, .connection = s_link.connection, .message = message };
        if (!event_queue_post(&event)) {
            ESP_LOGW(TAG, "the agent is busy: a message was dropped");
        }
    }
}

static void on_mqtt_event(void *ctx, esp_event_base_t base, int32_t id, void *event_data)
{
    (void)ctx;
    (void)base;
    const esp_mqtt_event_t *event = event_data;
    switch ((esp_mqtt_event_id_t)id) {
    case MQTT_EVENT_CONNECTED:
        on_connected();
        break;
    case MQTT_EVENT_DATA:
        on_data(event);
        break;
    case MQTT_EVENT_PUBLISHED:
        on_published(event->client);
        break;
    case MQTT_EVENT_ERROR:
        s_link.error = *event->error_handle;
        break;
    case MQTT_EVENT_DISCONNECTED:
        on_disconnected();
        break;
    default:
        break;
    }
}

/* ---------------------------------------------------------------- interface */

/** What the broker tells others when the device goes without a word; only devices with an identity may. */
static const char *last_will_topic(const cert_connect_t *request, char *buf, size_t cap)
{
    if (request->identity == CERT_IDENTITY_BOOTSTRAP) {
        return NULL;
    }
    snprintf(buf, cap, "devices/%s/presence", request->client_id);
    return buf;
}

static esp_mqtt_client_handle_t start_client(const cert_connect_t *request, const keys_tls_t *key, const char *host,
                                             uint32_t port)
{
    char topic[CERT_TOPIC_MAX]; /* copied by the client */
    const esp_mqtt_client_config_t config = {
        .broker.address = { .hostname = host, .port = port, .transport = MQTT_TRANSPORT_OVER_SSL },
        .broker.verification.certificate = request->anchors_pem,
        .credentials.client_id = request->client_id,
        .credentials.authentication = {
            .certificate = request->chain_pem,
            .key = key->der,
            .key_len = key->der_len,
            .ds_data = key->ds_data,
        },
        .session = {
            .protocol_ver = MQTT_PROTOCOL_V_3_1_1,
            .keepalive = CONFIG_CERT_PORT_KEEPALIVE_S,
            .last_will = { .topic = last_will_topic(request, topic, sizeof(topic)), .msg = LAST_WILL, .qos = 1 },
        },
        /* The agent decides when to try again. The time-out only bounds how long an idle client takes to stop. */
        .network = { .disable_auto_reconnect = true, .reconnect_timeout_ms = 200 },
    };
    esp_mqtt_client_handle_t client = esp_mqtt_client_init(&config);
    if (client == NULL) {
        return NULL;
    }
    if (esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_mqtt_event, NULL) != ESP_OK ||
            esp_mqtt_client_start(client) != ESP_OK) {
        esp_mqtt_client_destroy(client);
        return NULL;
    }
    return client;
}

void mqtt_link_open(const cert_connect_t *request, const char *host, uint32_t port)
{
    mqtt_link_close();
    memset(&s_link, 0, sizeof(s_link));
    s_link.connection = request->connection;
    keys_tls_t key;
    cert_status_t status = keys_for_tls(request->key_kind, request->key, request->key_len, &key);
    if (status != CERT_OK) { /* not the network's fault: after a few such attempts another identity is tried */
        ESP_LOGE(TAG, "the key of the identity cannot be used: %s", cert_status_code(status));
        post_end(CERT_FAILURE_UNKNOWN, "the key of the identity cannot be used");
        return;
    }
    s_link.client = start_client(request, &key, host, port);
    if (s_link.client == NULL) {
        post_end(CERT_FAILURE_NETWORK, "no resources for an MQTT client");
    }
}

/*
 * A socket that is closed before everything received has been read resets the connection, and the server throws away
 * what it has not read yet. So what was published has to be acknowledged first.
 */
static void drain(void)
{
    for (int waited = 0; s_link.is_up && !s_link.has_ended && waited < DRAIN_TIMEOUT_MS; waited += DRAIN_STEP_MS) {
        if (esp_mqtt_client_get_outbox_size(s_link.client) == 0) {
            return;
        }
        vTaskDelay(pdMS_TO_TICKS(DRAIN_STEP_MS));
    }
}

void mqtt_link_close(void)
{
    if (s_link.client == NULL) {
        return;
    }
    drain();
    /* Waits for the client's task to end: after that nothing refers to the credentials any more. */
    s_link.has_ended = true;
    esp_mqtt_client_destroy(s_link.client);
    s_link.client = NULL;
    keys_forget_tls();
    event_message_free(s_link.incoming);
    s_link.incoming = NULL;
}

void mqtt_link_subscribe(const char *topic)
{
    if (s_link.client == NULL || esp_mqtt_client_subscribe_single(s_link.client, topic, 1) < 0) {
        ESP_LOGW(TAG, "cannot subscribe to %s", topic);
    }
}

cert_status_t mqtt_link_publish(const char *topic, const char *payload, size_t len)
{
    if (s_link.client == NULL || !s_link.is_up || s_link.has_ended) {
        return CERT_ERR_INTERNAL;
    }
    switch (esp_mqtt_client_publish(s_link.client, topic, payload, (int)len, 1, 0)) {
    case -1:
        return CERT_ERR_INTERNAL;
    case -2:
        return CERT_ERR_STORAGE_FULL;
    default:
        return CERT_OK;
    }
}
