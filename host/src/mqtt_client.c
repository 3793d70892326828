/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Three things libmosquitto 2.0 leaves to its caller when it connects without blocking:
 *  - it looks up the host name in the calling thread and tries the first address only: resolver.c does the look-up, and
 *    the addresses are dialled here one after the other;
 *  - a connection refused while TLS begins looks to it like one that is still under way: whether TCP is up is asked of
 *    the socket;
 *  - mosquitto_loop_write() does not drive the TLS handshake, mosquitto_loop_read() does: it is called for both.
 */
#include "mqtt_client.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cert_mgmt/cert_settings.h"
#include "resolver.h"
#include "tls_client.h"

#define RESOLVE_TIMEOUT_MS 15000
#define DIAL_TIMEOUT_MS 5000       /* TCP, for each address */
#define HANDSHAKE_TIMEOUT_MS 15000 /* TLS and CONNACK */
#define CLOSE_TIMEOUT_MS 1000
#define KEEPALIVE_S 30
#define LAST_WILL "{\"state\":\"lost\"}"
#define HOUSEKEEPING_MS 5000

static const char CLOSED_EARLY[] = "the server closed the connection before CONNACK";

typedef enum {
    STATE_IDLE,
    STATE_RESOLVING,
    STATE_DIALLING,    /* TCP */
    STATE_HANDSHAKING, /* TLS, then CONNACK */
    STATE_ONLINE,
    STATE_DRAINING,    /* to be closed when the server has acknowledged what was published */
    STATE_CLOSING, /* DISCONNECT is on its way out */
} state_t;

/* The CONNACK return codes of MQTT 3.1.1, section 3.2.2.3 */
enum {
    CONNACK_NONE = -1,
    CONNACK_IDENTIFIER_REJECTED = 2,
    CONNACK_UNAVAILABLE = 3,
    CONNACK_BAD_CREDENTIALS = 4,
    CONNACK_NOT_AUTHORISED = 5,
};

struct mqtt_client {
    mqtt_events_t events;

    /* What was asked for */
    bool connect_requested;
    bool close_requested;
    cert_connect_t request;
    char host[CERT_HOST_MAX + 1];
    uint16_t port;

    /* The connection there is */
    state_t state;
    uint32_t connection;
    const char *client_id;
    uint64_t deadline_ms; /* of the state; ONLINE has none */
    resolver_t *resolver;
    const struct addrinfo *address; /* the one being dialled */
    struct mosquitto *mosq;
    tls_client_t tls;
    int connack;
    unsigned unacknowledged; /* messages published, QoS 1 */
};

/* ---------------------------------------------------------------- events of libmosquitto */

static void on_connect(struct mosquitto *mosq, void *ctx, int code)
{
    (void)mosq;
    mqtt_client_t *client = ctx;
    client->connack = code;
    if (code == 0) {
        client->state = STATE_ONLINE;
        client->events.connected(client->events.ctx, client->connection);
    }
}

static void on_publish(struct mosquitto *mosq, void *ctx, int message_id)
{
    (void)mosq;
    (void)message_id;
    mqtt_client_t *client = ctx;
    client->unacknowledged--;
    if (client->unacknowledged == 0) {
        client->events.delivered(client->events.ctx, client->connection);
    }
}

static void on_message(struct mosquitto *mosq, void *ctx, const struct mosquitto_message *message)
{
    (void)mosq;
    mqtt_client_t *client = ctx;
    size_t len = (size_t)message->payloadlen;
    uint8_t nothing = 0;
    uint8_t *payload = len > 0 ? message->payload : &nothing;
    if (client->state == STATE_ONLINE && !client->close_requested) {
        client->events.message(client->events.ctx, client->connection, message->topic, payload, len);
    }
    explicit_bzero(payload, len);
}

/* ---------------------------------------------------------------- the end of a connection */

static void drop_mosquitto(mqtt_client_t *client)
{
    mosquitto_destroy(client->mosq);
    client->mosq = NULL;
}

static void drop(mqtt_client_t *client)
{
    drop_mosquitto(client);
    tls_client_free(&client->tls);
    resolver_release(client->resolver);
    client->resolver = NULL;
    client->address = NULL;
    client->close_requested = false;
    client->state = STATE_IDLE;
}

static void fail(mqtt_client_t *client, cert_failure_t why, const char *detail)
{
    uint32_t connection = client->connection;
    drop(client);
    client->events.disconnected(client->events.ctx, connection, why, detail);
}

/** The connection has ended after TCP was up: find out what that says about the identities. */
static void fail_closed(mqtt_client_t *client, const char *otherwise)
{
    const tls_client_t *tls = &client->tls;
    char detail[160];
    cert_failure_t why = client->state == STATE_ONLINE ? CERT_FAILURE_NETWORK : CERT_FAILURE_UNKNOWN;
    snprintf(detail, sizeof(detail), "%s", otherwise);
    if (tls_client_server_untrusted(tls)) {
        why = CERT_FAILURE_SERVER_UNTRUSTED;
        snprintf(detail, sizeof(detail), "the server's certificate: %s",
                 X509_verify_cert_error_string(tls->verify_error));
    } else if (tls->alert >= 0) {
        why = tls_client_identity_refused(tls) ? CERT_FAILURE_IDENTITY_REFUSED : why;
        const char *when = tls->identity_shown ? "from the server" : "before our certificate was sent";
        snprintf(detail, sizeof(detail), "TLS alert %s: %s", when, SSL_alert_desc_string_long(tls->alert));
    } else if (client->connack > 0) {
        bool refused = client->connack == CONNACK_IDENTIFIER_REJECTED || client->connack == CONNACK_BAD_CREDENTIALS ||
                       client->connack == CONNACK_NOT_AUTHORISED;
        why = refused ? CERT_FAILURE_IDENTITY_REFUSED : why;
        why = client->connack == CONNACK_UNAVAILABLE ? CERT_FAILURE_NETWORK : why;
        snprintf(detail, sizeof(detail), "CONNACK: %s", mosquitto_connack_string(client->connack));
    }
    fail(client, why, detail);
}

/* ---------------------------------------------------------------- steps of a connection */

static void begin(mqtt_client_t *client, uint64_t now_ms)
{
    client->connect_requested = false;
    client->connection = client->request.connection;
    client->client_id = client->request.client_id;
    client->connack = CONNACK_NONE;
    client->unacknowledged = 0;
    const char *why;
    if (!tls_client_init(&client->tls, &client->request, client->host, &why)) {
        fail(client, CERT_FAILURE_UNKNOWN, why);
        return;
    }
    client->resolver = resolver_start(client->host);
    if (client->resolver == NULL) {
        fail(client, CERT_FAILURE_NETWORK, "out of resources to look up the host name");
        return;
    }
    client->state = STATE_RESOLVING;
    client->deadline_ms = now_ms + RESOLVE_TIMEOUT_MS;
}

/** What the broker tells others when the device goes without a word; only devices with an identity may. */
static bool set_last_will(struct mosquitto *mosq, const cert_connect_t *request)
{
    char topic[CERT_TOPIC_MAX];
    snprintf(topic, sizeof(topic), "devices/%s/presence", request->client_id);
    return request->identity == CERT_IDENTITY_BOOTSTRAP ||
           mosquitto_will_set(mosq, topic, (int)strlen(LAST_WILL), LAST_WILL, 1, false) == MOSQ_ERR_SUCCESS;
}

/** A libmosquitto client that uses our TLS context and nothing of its own. */
static struct mosquitto *make_mosquitto(mqtt_client_t *client)
{
    struct mosquitto *mosq = mosquitto_new(client->client_id, true, client);
    if (mosq == NULL) {
        return NULL;
    }
    if (mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V311) != MOSQ_ERR_SUCCESS ||
        mosquitto_int_option(mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) != MOSQ_ERR_SUCCESS ||
        mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1) != MOSQ_ERR_SUCCESS ||
        mosquitto_void_option(mosq, MOSQ_OPT_SSL_CTX, client->tls.ctx) != MOSQ_ERR_SUCCESS ||
        !set_last_will(mosq, &client->request)) {
        mosquitto_destroy(mosq);
        return NULL;
    }
    mosquitto_connect_callback_set(mosq, on_connect);
    mosquitto_publish_callback_set(mosq, on_publish);
    mosquitto_message_callback_set(mosq, on_message);
    return mosq;
}

/** Dial client->address, or the next one that can be dialled; the failure of the last one is reported. */
static void dial(mqtt_client_t *client, uint64_t now_ms, const char *last_failure)
{
    for (; client->address != NULL; client->address = client->address->ai_next) {
        const struct addrinfo *address = client->address;
        char numeric[NI_MAXHOST];
        int error =
            getnameinfo(address->ai_addr, address->ai_addrlen, numeric, sizeof(numeric), NULL, 0, NI_NUMERICHOST);
        if (error != 0) {
            last_failure = gai_strerror(error);
            continue;
        }
        drop_mosquitto(client);
        client->mosq = make_mosquitto(client);
        if (client->mosq == NULL) {
            last_failure = strerror(ENOMEM);
            continue;
        }
        if (mosquitto_connect_async(client->mosq, numeric, client->port, KEEPALIVE_S) == MOSQ_ERR_SUCCESS ||
            mosquitto_socket(client->mosq) >= 0) {
            client->state = STATE_DIALLING;
            client->deadline_ms = now_ms + DIAL_TIMEOUT_MS;
            return;
        }
        if (client->tls.server_reached) { /* libmosquitto got as far as the handshake in one go */
            fail_closed(client, CLOSED_EARLY);
            return;
        }
        last_failure = strerror(errno);
    }
    fail(client, CERT_FAILURE_NETWORK, last_failure);
}

static void dial_next(mqtt_client_t *client, uint64_t now_ms, const char *failure)
{
    client->address = client->address->ai_next;
    dial(client, now_ms, failure);
}

static void service_resolving(mqtt_client_t *client, short revents, uint64_t now_ms)
{
    if (revents == 0) {
        if (now_ms >= client->deadline_ms) {
            fail(client, CERT_FAILURE_NETWORK, "the name servers do not answer");
        }
        return;
    }
    int error = resolver_result(client->resolver, &client->address);
    if (error != 0) {
        fail(client, CERT_FAILURE_NETWORK, gai_strerror(error));
        return;
    }
    dial(client, now_ms, "the host name has no address");
}

/** Is, or was, TCP up? `error` is what the socket says, 0 if TLS has taken that already when it tried to write. */
static bool is_reached(const mqtt_client_t *client, int *error)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    if (getpeername(mosquitto_socket(client->mosq), (struct sockaddr *)&peer, &len) == 0 ||
        client->tls.server_reached) {
        return true;
    }
    len = sizeof(*error);
    getsockopt(mosquitto_socket(client->mosq), SOL_SOCKET, SO_ERROR, error, &len);
    return *error == ECONNRESET || *error == EPIPE;
}

static void service_dialling(mqtt_client_t *client, short revents, uint64_t now_ms)
{
    int error = 0;
    if (revents == 0) {
        if (now_ms >= client->deadline_ms) {
            dial_next(client, now_ms, strerror(ETIMEDOUT));
        }
    } else if (is_reached(client, &error)) {
        client->state = STATE_HANDSHAKING;
        client->deadline_ms = now_ms + HANDSHAKE_TIMEOUT_MS;
    } else {
        dial_next(client, now_ms, strerror(error != 0 ? error : ECONNREFUSED));
    }
}

/** Read, write, keep alive. Returns false when the connection has ended. */
static bool exchange(mqtt_client_t *client)
{
    /* Read first, ready or not: a TLS alert must be seen before a write fails on the closed connection. */
    if (mosquitto_loop_read(client->mosq, 1) != MOSQ_ERR_SUCCESS) {
        return false;
    }
    if (!client->tls.handshake_done) {
        return tls_client_handshake_events(mosquitto_ssl_get(client->mosq)) != 0;
    }
    if (mosquitto_want_write(client->mosq) && mosquitto_loop_write(client->mosq, 1) != MOSQ_ERR_SUCCESS) {
        return false;
    }
    return mosquitto_loop_misc(client->mosq) == MOSQ_ERR_SUCCESS;
}

static void service_open(mqtt_client_t *client, uint64_t now_ms)
{
    if (!exchange(client)) {
        fail_closed(client, client->state == STATE_ONLINE ? "the connection broke" : CLOSED_EARLY);
    } else if (client->state == STATE_HANDSHAKING && now_ms >= client->deadline_ms) {
        fail(client, CERT_FAILURE_NETWORK,
             client->tls.handshake_done ? "no CONNACK in time" : "TLS handshake not done in time");
    }
}

static void send_disconnect(mqtt_client_t *client, uint64_t now_ms)
{
    if (mosquitto_disconnect(client->mosq) == MOSQ_ERR_SUCCESS) {
        client->state = STATE_CLOSING;
        client->deadline_ms = now_ms + CLOSE_TIMEOUT_MS;
    } else {
        drop(client);
    }
}

/*
 * A socket that is closed before everything received has been read resets the connection, and the server throws away
 * what it has not read yet. So what was published has to be acknowledged first.
 */
static void begin_close(mqtt_client_t *client, uint64_t now_ms)
{
    client->close_requested = false;
    if (client->state == STATE_ONLINE && client->unacknowledged > 0) {
        client->state = STATE_DRAINING;
        client->deadline_ms = now_ms + CLOSE_TIMEOUT_MS;
    } else if (client->state == STATE_ONLINE) {
        send_disconnect(client, now_ms);
    } else if (client->state != STATE_DRAINING && client->state != STATE_CLOSING) {
        drop(client);
    }
}

static void service_draining(mqtt_client_t *client, uint64_t now_ms)
{
    if (!exchange(client)) {
        drop(client);
    } else if (client->unacknowledged == 0 || now_ms >= client->deadline_ms) {
        send_disconnect(client, now_ms);
    }
}

static void service_closing(mqtt_client_t *client, uint64_t now_ms)
{
    if (now_ms >= client->deadline_ms || mosquitto_socket(client->mosq) < 0 || !exchange(client) ||
        mosquitto_socket(client->mosq) < 0) {
        drop(client);
    }
}

static void service_state(mqtt_client_t *client, short revents, uint64_t now_ms)
{
    switch (client->state) {
    case STATE_IDLE:
        break;
    case STATE_RESOLVING:
        service_resolving(client, revents, now_ms);
        break;
    case STATE_DIALLING:
        service_dialling(client, revents, now_ms);
        break;
    case STATE_HANDSHAKING:
    case STATE_ONLINE:
        service_open(client, now_ms);
        break;
    case STATE_DRAINING:
        service_draining(client, now_ms);
        break;
    case STATE_CLOSING:
        service_closing(client, now_ms);
        break;
    }
}

/* ---------------------------------------------------------------- interface */

mqtt_client_t *mqtt_client_new(const mqtt_events_t *events)
{
    mqtt_client_t *client = calloc(1, sizeof(*client));
    if (client == NULL || mosquitto_lib_init() != MOSQ_ERR_SUCCESS) {
        free(client);
        return NULL;
    }
    client->events = *events;
    return client;
}

void mqtt_client_free(mqtt_client_t *client)
{
    if (client->state == STATE_ONLINE) {
        begin_close(client, 0);
    }
    if (client->state == STATE_CLOSING) {
        exchange(client);
    }
    drop(client);
    free(client);
    mosquitto_lib_cleanup();
}

void mqtt_client_connect(mqtt_client_t *client, const cert_connect_t *request, const char *host, uint16_t port)
{
    client->close_requested = client->state != STATE_IDLE;
    client->connect_requested = true;
    client->request = *request;
    snprintf(client->host, sizeof(client->host), "%s", host);
    client->port = port;
}

void mqtt_client_disconnect(mqtt_client_t *client)
{
    client->close_requested = client->state != STATE_IDLE;
    client->connect_requested = false;
}

void mqtt_client_subscribe(mqtt_client_t *client, const char *topic)
{
    if (client->state == STATE_ONLINE) {
        mosquitto_subscribe(client->mosq, NULL, topic, 1);
    }
}

cert_status_t mqtt_client_publish(mqtt_client_t *client, const char *topic, const char *payload, size_t len)
{
    if (client->state != STATE_ONLINE) {
        return CERT_ERR_INTERNAL;
    }
    switch (mosquitto_publish(client->mosq, NULL, topic, (int)len, payload, 1, false)) {
    case MOSQ_ERR_SUCCESS:
        client->unacknowledged++;
        return CERT_OK;
    case MOSQ_ERR_NOMEM:
        return CERT_ERR_STORAGE_FULL;
    default:
        return CERT_ERR_INTERNAL;
    }
}

static short events_of_open(const mqtt_client_t *client)
{
    if (!client->tls.handshake_done) {
        return tls_client_handshake_events(mosquitto_ssl_get(client->mosq));
    }
    return mosquitto_want_write(client->mosq) ? POLLIN | POLLOUT : POLLIN;
}

uint32_t mqtt_client_prepare(mqtt_client_t *client, struct pollfd *pfd, uint64_t now_ms)
{
    pfd->fd = -1;
    pfd->revents = 0;
    if (client->close_requested) {
        return 0;
    }
    switch (client->state) {
    case STATE_IDLE:
        return client->connect_requested ? 0 : UINT32_MAX;
    case STATE_RESOLVING:
        pfd->fd = resolver_fd(client->resolver);
        pfd->events = POLLIN;
        break;
    case STATE_DIALLING:
        pfd->fd = mosquitto_socket(client->mosq);
        pfd->events = POLLOUT;
        break;
    case STATE_HANDSHAKING:
    case STATE_ONLINE:
    case STATE_DRAINING:
    case STATE_CLOSING:
        pfd->fd = mosquitto_socket(client->mosq);
        if (pfd->fd < 0) {
            return 0;
        }
        pfd->events = events_of_open(client);
        break;
    }
    if (client->state == STATE_ONLINE) {
        return HOUSEKEEPING_MS;
    }
    return client->deadline_ms > now_ms ? (uint32_t)(client->deadline_ms - now_ms) : 0;
}

void mqtt_client_service(mqtt_client_t *client, const struct pollfd *pfd, uint64_t now_ms)
{
    if (client->close_requested) {
        begin_close(client, now_ms);
    }
    service_state(client, pfd->revents, now_ms);
    if (client->state == STATE_IDLE && client->connect_requested) {
        begin(client, now_ms);
    }
}
