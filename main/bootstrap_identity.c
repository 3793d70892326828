/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bootstrap_identity.h"

#include "sdkconfig.h"

#if CONFIG_IDF_TARGET_LINUX
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp_log.h"
#endif

extern const char bootstrap_crt[] asm("_binary_bootstrap_crt_start");
extern const uint8_t bootstrap_key[] asm("_binary_bootstrap_key_start");
extern const uint8_t bootstrap_key_end[] asm("_binary_bootstrap_key_end");
extern const char trust_anchors[] asm("_binary_trust_anchors_pem_start");

#if CONFIG_IDF_TARGET_LINUX
static char *read_text(const char *directory, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    if (file == NULL || getdelim(&text, &size, '\0', file) < 0) {
        ESP_LOGE("main", "cannot read %s", path);
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

static esp_err_t load_files(const char *directory, cert_port_esp_bootstrap_t *identity)
{
    char *key = read_text(directory, "bootstrap.key");
    *identity = (cert_port_esp_bootstrap_t) {
        .chain_pem = read_text(directory, "bootstrap.crt"),
        .key = (const uint8_t *)key,
        .key_len = key != NULL ? strlen(key) + 1 : 0,
        .anchors_pem = read_text(directory, "trust_anchors.pem"),
    };
    bool complete = identity->chain_pem != NULL && key != NULL && identity->anchors_pem != NULL;
    return complete ? ESP_OK : ESP_ERR_NOT_FOUND;
}
#endif

esp_err_t bootstrap_identity_load(cert_port_esp_bootstrap_t *identity)
{
#if CONFIG_IDF_TARGET_LINUX
    const char *directory = getenv("CERT_AGENT_BOOTSTRAP_DIR");
    if (directory != NULL && directory[0] != '\0') {
        return load_files(directory, identity);
    }
#endif
    *identity = (cert_port_esp_bootstrap_t) {
        .chain_pem = bootstrap_crt,
        .key = bootstrap_key,
        .key_len = (size_t)(bootstrap_key_end - bootstrap_key), /* embedded text ends with a NUL, which counts */
        .anchors_pem = trust_anchors,
    };
    return ESP_OK;
}
