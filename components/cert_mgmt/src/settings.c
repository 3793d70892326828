/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cert_mgmt/cert_settings.h"

#include <cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_KEY "settings"
#define SETTINGS_JSON_MAX 896
#define NUMBER_TEXT_MAX 12

typedef enum {
    KIND_DEVICE_ID,
    KIND_HOST,
    KIND_NUMBER,
} setting_kind_t;

typedef struct {
    const char *key;
    setting_kind_t kind;
    size_t offset;
    uint32_t min;
    uint32_t max;
} setting_t;

static const setting_t s_settings[] = {
    { "id", KIND_DEVICE_ID, offsetof(cert_settings_t, id), 3, CERT_DEVICE_ID_MAX },
    { "broker", KIND_HOST, offsetof(cert_settings_t, broker), 1, CERT_HOST_MAX },
    { "port", KIND_NUMBER, offsetof(cert_settings_t, port), 1, 65535 },
    { "bootstrap-port", KIND_NUMBER, offsetof(cert_settings_t, bootstrap_port), 1, 65535 },
    { "backoff-min-ms", KIND_NUMBER, offsetof(cert_settings_t, backoff_min_ms), 10, 3600000 },
    { "backoff-max-ms", KIND_NUMBER, offsetof(cert_settings_t, backoff_max_ms), 10, 86400000 },
    { "time-server", KIND_HOST, offsetof(cert_settings_t, time_server), 1, CERT_HOST_MAX },
};

#define SETTING_COUNT (sizeof(s_settings) / sizeof(s_settings[0]))

void cert_settings_default(cert_settings_t *settings)
{
    *settings = (cert_settings_t) {
        .port = 8883,
        .bootstrap_port = 8884,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 300000,
    };
}

const char *cert_settings_key(size_t index)
{
    return index < SETTING_COUNT ? s_settings[index].key : NULL;
}

static const setting_t *find(const char *key)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(s_settings[i].key, key) == 0) {
            return &s_settings[i];
        }
    }
    return NULL;
}

static void value_as_text(const cert_settings_t *settings, const setting_t *setting, char *out, size_t cap)
{
    const char *field = (const char *)settings + setting->offset;
    if (setting->kind == KIND_NUMBER) {
        uint32_t number;
        memcpy(&number, field, sizeof(number));
        snprintf(out, cap, "%u", (unsigned)number);
    } else {
        snprintf(out, cap, "%s", field);
    }
}

static bool is_text(const char *value, const setting_t *setting, const char *punctuation)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strlen(value);
    if (len < setting->min || len > setting->max ||
        (setting->kind == KIND_DEVICE_ID && strchr(letters, value[0]) == NULL)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (strchr(letters, value[i]) == NULL && strchr(punctuation, value[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool parse_number(const char *value, const setting_t *setting, uint32_t *number)
{
    size_t len = strlen(value);
    if (len == 0 || len >= NUMBER_TEXT_MAX || strspn(value, "0123456789") != len) {
        return false;
    }
    unsigned long long parsed = strtoull(value, NULL, 10);
    if (parsed < setting->min || parsed > setting->max) {
        return false;
    }
    *number = (uint32_t)parsed;
    return true;
}

static bool assign(cert_settings_t *settings, const setting_t *setting, const char *value)
{
    char *field = (char *)settings + setting->offset;
    uint32_t number;
    switch (setting->kind) {
    case KIND_NUMBER:
        if (!parse_number(value, setting, &number)) {
            return false;
        }
        memcpy(field, &number, sizeof(number));
        return true;
    case KIND_DEVICE_ID:
    case KIND_HOST:
        if (!is_text(value, setting, setting->kind == KIND_HOST ? ".:-_" : "-_")) {
            return false;
        }
        memcpy(field, value, strlen(value) + 1);
        return true;
    }
    return false;
}

cert_status_t cert_settings_load(cert_settings_t *settings, const cert_port_t *port)
{
    char json[SETTINGS_JSON_MAX];
    size_t len = 0;
    cert_status_t status = port->kv_read(port->ctx, SETTINGS_KEY, (uint8_t *)json, sizeof(json), &len);
    if (status != CERT_OK) {
        return status == CERT_ERR_NOT_FOUND ? CERT_OK : status == CERT_ERR_TOO_LARGE ? CERT_ERR_CORRUPT : status;
    }
    cJSON *tree = cJSON_ParseWithLength(json, len);
    cert_settings_t loaded = *settings;
    bool good = cJSON_IsObject(tree);
    for (size_t i = 0; good && i < SETTING_COUNT; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, s_settings[i].key);
        const char *value = cJSON_GetStringValue(item);
        good = item == NULL || (value != NULL && assign(&loaded, &s_settings[i], value));
    }
    cJSON_Delete(tree);
    if (!good || loaded.backoff_max_ms < loaded.backoff_min_ms) {
        return CERT_ERR_CORRUPT;
    }
    *settings = loaded;
    return CERT_OK;
}

static cert_status_t save(const cert_settings_t *settings, const cert_port_t *port)
{
    char json[SETTINGS_JSON_MAX];
    char value[CERT_HOST_MAX + 1];
    cJSON *tree = cJSON_CreateObject();
    bool complete = tree != NULL;
    for (size_t i = 0; complete && i < SETTING_COUNT; i++) {
        value_as_text(settings, &s_settings[i], value, sizeof(value));
        complete = value[0] == '\0' || cJSON_AddStringToObject(tree, s_settings[i].key, value) != NULL;
    }
    bool printed = complete && cJSON_PrintPreallocated(tree, json, sizeof(json), false);
    cJSON_Delete(tree);
    if (!printed) {
        return CERT_ERR_INTERNAL;
    }
    return port->kv_write(port->ctx, SETTINGS_KEY, (const uint8_t *)json, strlen(json));
}

cert_status_t cert_settings_set(cert_settings_t *settings, const cert_port_t *port, const char *key, const char *value)
{
    const setting_t *setting = find(key);
    if (setting == NULL) {
        return CERT_ERR_NOT_FOUND;
    }
    cert_settings_t changed = *settings;
    if (!assign(&changed, setting, value) || changed.backoff_max_ms < changed.backoff_min_ms) {
        return CERT_ERR_INVALID_ARG;
    }
    cert_status_t status = save(&changed, port);
    if (status == CERT_OK) {
        *settings = changed;
    }
    return status;
}

cert_status_t cert_settings_get(const cert_settings_t *settings, const char *key, char *out, size_t cap)
{
    const setting_t *setting = find(key);
    if (setting == NULL) {
        return CERT_ERR_NOT_FOUND;
    }
    char value[CERT_HOST_MAX + 1];
    value_as_text(settings, setting, value, sizeof(value));
    if (strlen(value) >= cap) {
        return CERT_ERR_TOO_LARGE;
    }
    memcpy(out, value, strlen(value) + 1);
    return CERT_OK;
}
