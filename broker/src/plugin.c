/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

/**
 * @file plugin.c
 * @brief The Mosquitto plugin: decides by certificate who connects, keeps everyone on their own topics, stamps
 *        certificate messages with the sender's certificate id, and ends sessions when the cloud says so.
 *
 * Works with Mosquitto 2.0. Needs `require_certificate true`, `allow_anonymous false`, `per_listener_settings false`
 * and no `use_identity_as_username` (which would skip the basic-auth callback).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <openssl/x509.h>

#include "acl.h"
#include "identity.h"
#include "sessions.h"
#include "stamp.h"
#include "verdict_cache.h"
#include "verdict_client.h"

#define EXPORT __attribute__((visibility("default")))
#define DISCONNECT_TOPIC "$CONTROL/fleetpki/v1/disconnect"
#define LOG_PREFIX "fleetpki: "

typedef struct {
    mosquitto_plugin_id_t *id;
    verdict_client_t verdicts;
    verdict_cache_t *cache;
    sessions_t sessions;
} plugin_t;

static bool identity_of(const struct mosquitto *client, identity_t *out)
{
    return identity_from_username(mosquitto_client_username(client), out);
}

static bool read_certificate_id(const struct mosquitto *client, char out[CERTIFICATE_ID_LEN + 1])
{
    X509 *certificate = mosquitto_client_certificate(client);
    bool known = certificate != NULL && certificate_id_of(certificate, out);
    X509_free(certificate);
    return known;
}

/*
 * The registry's verdict; while nobody answers, what was allowed lately still is. Not so for the bootstrap certificate:
 * the name it was allowed may be a device's at work by now, and enrolling needs the cloud anyway.
 */
static verdict_t decide(plugin_t *plugin, const char *certificate_id, const char *client_id)
{
    verdict_t verdict = verdict_client_ask(&plugin->verdicts, certificate_id, client_id);

    if (verdict.result == VERDICT_ALLOW) {
        if (verdict.role != ROLE_BOOTSTRAP) {
            verdict_cache_put(plugin->cache, certificate_id, client_id, verdict.role, monotonic_ms());
        }
    } else if (verdict.result == VERDICT_DENY) {
        verdict_cache_forget(plugin->cache, certificate_id);
    } else {
        verdict.role = verdict_cache_get(plugin->cache, certificate_id, client_id, monotonic_ms());
        verdict.result = verdict.role != ROLE_NONE ? VERDICT_ALLOW : VERDICT_UNAVAILABLE;
    }
    return verdict;
}

/* The broker is about to give this client the session of its name, if there is one. */
static int admit(plugin_t *plugin, struct mosquitto *client, const identity_t *identity)
{
    const char *client_id = mosquitto_client_id(client);
    char username[USERNAME_SIZE];

    if (!sessions_may_take(&plugin->sessions, client_id, identity->role)) {
        mosquitto_log_printf(MOSQ_LOG_WARNING, LOG_PREFIX "closed the connection of certificate %s: client id %s is "
                             "in use by a client in another role", identity->certificate_id, client_id);
        return MOSQ_ERR_UNKNOWN;
    }
    identity_to_username(identity, username);
    int rc = mosquitto_set_username(client, username);
    if (rc != MOSQ_ERR_SUCCESS) {
        return rc;
    }
    return sessions_enter(&plugin->sessions, client_id, client, identity->role) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_NOMEM;
}

/* MOSQ_ERR_AUTH makes the broker answer "not authorised", which tells a device that its identity was refused. Any other
 * error just closes the connection: right when nobody could be asked. */
static int on_basic_auth(int event, void *event_data, void *userdata)
{
    (void)event;
    struct mosquitto_evt_basic_auth *auth = event_data;
    plugin_t *plugin = userdata;
    identity_t identity = {.role = ROLE_NONE};
    const char *client_id = mosquitto_client_id(auth->client);

    if (!read_certificate_id(auth->client, identity.certificate_id) || strlen(client_id) > CLIENT_ID_MAX_LEN) {
        return MOSQ_ERR_AUTH;
    }
    verdict_t verdict = decide(plugin, identity.certificate_id, client_id);
    switch (verdict.result) {
        case VERDICT_ALLOW:
            identity.role = verdict.role;
            return admit(plugin, auth->client, &identity);
        case VERDICT_DENY:
            mosquitto_log_printf(MOSQ_LOG_NOTICE, LOG_PREFIX "refused certificate %s as client %s: %s",
                                 identity.certificate_id, client_id, verdict.reason);
            return MOSQ_ERR_AUTH;
        case VERDICT_UNAVAILABLE:
        default:
            mosquitto_log_printf(MOSQ_LOG_WARNING, LOG_PREFIX "closed the connection of unknown certificate %s: %s",
                                 identity.certificate_id, verdict.reason);
            return MOSQ_ERR_UNKNOWN;
    }
}

/* A command that may carry a private key goes to a device that is connected, or nowhere: whoever else listens. The
 * sender learns it from the acknowledgement, "not authorised". */
static bool is_command_to_absent_device(const plugin_t *plugin, const struct mosquitto_evt_acl_check *check)
{
    char device_id[CLIENT_ID_MAX_LEN + 1];

    if (check->access != MOSQ_ACL_WRITE || !acl_rotate_target(check->topic, device_id) ||
        sessions_role_of(&plugin->sessions, device_id) == ROLE_DEVICE) {
        return false;
    }
    mosquitto_log_printf(MOSQ_LOG_NOTICE, LOG_PREFIX "dropped a rotate command: device %s is offline", device_id);
    return true;
}

static bool may_access(const plugin_t *plugin, const struct mosquitto_evt_acl_check *check)
{
    const char *client_id = mosquitto_client_id(check->client);
    identity_t identity;

    if (check->access == MOSQ_ACL_UNSUBSCRIBE) {
        return true;
    }
    if (!identity_of(check->client, &identity)) {
        return false;
    }
    /* A client that does not hold its client id any more has ended or is being replaced. All it can still want is to
     * have its will published. That never passes the message callback and would carry user properties of the
     * client's choice, so it stays off the stamped topics. And nothing is queued for a session without a connection:
     * a pushed private key must not rest in the broker. */
    if (!sessions_is_holder(&plugin->sessions, client_id, check->client) &&
        (check->access != MOSQ_ACL_WRITE || stamp_applies_to(check->topic))) {
        return false;
    }
    return acl_allows(identity.role, client_id, check->access, check->topic) &&
           !is_command_to_absent_device(plugin, check);
}

static int on_acl_check(int event, void *event_data, void *userdata)
{
    (void)event;
    return may_access(userdata, event_data) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

static int on_message(int event, void *event_data, void *userdata)
{
    (void)event;
    (void)userdata;
    struct mosquitto_evt_message *message = event_data;
    identity_t sender;

    if (!stamp_applies_to(message->topic)) {
        return MOSQ_ERR_SUCCESS;
    }
    if (!identity_of(message->client, &sender)) {
        return MOSQ_ERR_ACL_DENIED;
    }
    int rc = stamp_message(&message->properties, sender.certificate_id);
    if (rc == MOSQ_ERR_ACL_DENIED) {
        mosquitto_log_printf(MOSQ_LOG_NOTICE, LOG_PREFIX "refused a message of %s on %s: it brought user properties",
                             sender.certificate_id, message->topic);
    }
    return rc;
}

static int on_disconnect(int event, void *event_data, void *userdata)
{
    (void)event;
    const struct mosquitto_evt_disconnect *disconnect = event_data;
    plugin_t *plugin = userdata;
    const char *client_id = mosquitto_client_id(disconnect->client);

    if (client_id != NULL) {
        sessions_leave(&plugin->sessions, client_id, disconnect->client);
    }
    return MOSQ_ERR_SUCCESS;
}

static void kick(const char *certificate_id)
{
    static const role_t ROLES[] = {ROLE_DEVICE, ROLE_BOOTSTRAP, ROLE_SERVICE};

    for (size_t i = 0; i < sizeof(ROLES) / sizeof(ROLES[0]); i++) {
        identity_t identity = {.role = ROLES[i]};
        char username[USERNAME_SIZE];
        snprintf(identity.certificate_id, sizeof(identity.certificate_id), "%s", certificate_id);
        identity_to_username(&identity, username);
        mosquitto_kick_client_by_username(username, false);
    }
}

/* Always succeeds as far as the broker is concerned: Mosquitto 2.0.11 drops the sender of a control message that does
 * not. The sender's own session cannot be ended, the broker still needs it to acknowledge the message. */
static int on_disconnect_command(int event, void *event_data, void *userdata)
{
    (void)event;
    const struct mosquitto_evt_control *control = event_data;
    plugin_t *plugin = userdata;
    identity_t sender;
    cJSON *command = cJSON_ParseWithLength(control->payload, control->payloadlen);
    const char *target = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(command, "certificate_id"));

    if (target == NULL || !certificate_id_is_valid(target)) {
        mosquitto_log_printf(MOSQ_LOG_WARNING, LOG_PREFIX "ignored a disconnect command without a certificate_id");
    } else if (identity_of(control->client, &sender) && strcmp(sender.certificate_id, target) == 0) {
        mosquitto_log_printf(MOSQ_LOG_WARNING, LOG_PREFIX "ignored a disconnect command against its own sender");
    } else {
        mosquitto_log_printf(MOSQ_LOG_NOTICE, LOG_PREFIX "ending the sessions of certificate %s", target);
        verdict_cache_forget(plugin->cache, target);
        kick(target);
    }
    cJSON_Delete(command);
    return MOSQ_ERR_SUCCESS;
}

static const struct {
    int event;
    MOSQ_FUNC_generic_callback callback;
    const char *topic;
} CALLBACKS[] = {
    {MOSQ_EVT_BASIC_AUTH, on_basic_auth, NULL},
    {MOSQ_EVT_ACL_CHECK, on_acl_check, NULL},
    {MOSQ_EVT_MESSAGE, on_message, NULL},
    {MOSQ_EVT_DISCONNECT, on_disconnect, NULL},
    {MOSQ_EVT_CONTROL, on_disconnect_command, DISCONNECT_TOPIC},
};
#define CALLBACK_COUNT (sizeof(CALLBACKS) / sizeof(CALLBACKS[0]))

static const char *option(const char *key, const struct mosquitto_opt *options, int option_count)
{
    for (int i = 0; i < option_count; i++) {
        if (strcmp(options[i].key, key) == 0) {
            return options[i].value;
        }
    }
    return "";
}

static int register_callbacks(plugin_t *plugin)
{
    for (size_t i = 0; i < CALLBACK_COUNT; i++) {
        int rc = mosquitto_callback_register(plugin->id, CALLBACKS[i].event, CALLBACKS[i].callback,
                                             CALLBACKS[i].topic, plugin);
        if (rc != MOSQ_ERR_SUCCESS) {
            return rc;
        }
    }
    return MOSQ_ERR_SUCCESS;
}

EXPORT int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++) {
        if (supported_versions[i] == MOSQ_PLUGIN_VERSION) {
            return MOSQ_PLUGIN_VERSION;
        }
    }
    return -1;
}

EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options,
                                 int option_count)
{
    plugin_t *plugin = calloc(1, sizeof(*plugin));
    if (plugin == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    *userdata = plugin;
    plugin->id = identifier;
    plugin->cache = verdict_cache_new();
    if (plugin->cache == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    if (!verdict_client_init(&plugin->verdicts, option("verdict_socket", options, option_count))) {
        mosquitto_log_printf(MOSQ_LOG_ERR, LOG_PREFIX "set plugin_opt_verdict_socket to the path of the verdict "
                             "service's socket (at most %zu bytes)", sizeof(plugin->verdicts.path) - 1);
        return MOSQ_ERR_INVAL;
    }
    return register_callbacks(plugin);
}

EXPORT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    (void)options;
    (void)option_count;
    plugin_t *plugin = userdata;

    if (plugin == NULL) {
        return MOSQ_ERR_SUCCESS;
    }
    for (size_t i = 0; i < CALLBACK_COUNT; i++) {
        mosquitto_callback_unregister(plugin->id, CALLBACKS[i].event, CALLBACKS[i].callback, CALLBACKS[i].topic);
    }
    verdict_client_close(&plugin->verdicts);
    verdict_cache_free(plugin->cache);
    sessions_clear(&plugin->sessions);
    free(plugin);
    return MOSQ_ERR_SUCCESS;
}
