/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What a device gets in the factory, read from a directory: bootstrap.crt, bootstrap.key, trust_anchors.pem.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** @brief The files' contents, each NUL-terminated. */
typedef struct {
    char *chain;
    char *key;
    size_t key_len; /*!< Counts the NUL */
    char *anchors;
} bootstrap_files_t;

/**
 * @brief Read the files in $CERT_AGENT_BOOTSTRAP_DIR, or in ./certs.
 * @return false after a message on standard error that names the file
 */
bool bootstrap_files_load(bootstrap_files_t *files);

/** @brief Wipe the key and release all. */
void bootstrap_files_free(bootstrap_files_t *files);
