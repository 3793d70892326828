/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The key-value store as files: one file (0600) for each key in a directory (0700).
 *
 * A value is replaced by writing a new file, fsync, rename and fsync of the directory: after a loss of power at any
 * moment the old or the new value is there. Old bytes are overwritten before they are given back to the file system; on
 * flash and on copy-on-write file systems that is best effort.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_status.h"

/** @brief An open store. */
typedef struct {
    int dir; /*!< File descriptor of the directory */
} storage_t;

/**
 * @brief Open the store in `path`, create it if need be, and remove what an interrupted write has left behind.
 * @return CERT_OK; CERT_ERR_STORAGE, with errno set
 */
cert_status_t storage_open(storage_t *storage, const char *path);

/** @brief Close the store. */
void storage_close(storage_t *storage);

/** @brief As cert_port_t::kv_read; logs what the system says when it fails. */
cert_status_t storage_read(const storage_t *storage, const char *key, uint8_t *buf, size_t cap, size_t *len);

/** @brief As cert_port_t::kv_write; logs what the system says when it fails. */
cert_status_t storage_write(const storage_t *storage, const char *key, const uint8_t *data, size_t len);

/** @brief As cert_port_t::kv_erase; logs what the system says when it fails. */
cert_status_t storage_erase(const storage_t *storage, const char *key);
