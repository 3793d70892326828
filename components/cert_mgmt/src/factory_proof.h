/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Proof that an enrolling device is the one the factory made (docs/protocol.md, "Proof of the factory secret").
 */
#pragma once

#include "cert_mgmt/cert_port.h"

/** Room for a proof: 32 bytes in base64 and the terminating NUL. */
#define FACTORY_PROOF_SIZE 45

/**
 * @brief Prove with the factory secret, which only the factory ever writes to the store.
 * @param[out] mac  HMAC-SHA256 over the request in base64, FACTORY_PROOF_SIZE bytes of room.
 * @return CERT_OK, CERT_ERR_NOT_FOUND (the device has no secret), CERT_ERR_CORRUPT (not 32 bytes), CERT_ERR_STORAGE,
 *         CERT_ERR_INTERNAL
 */
cert_status_t factory_proof_make(const cert_port_t *port, const char *device_id, const char *csr_pem, char *mac);
