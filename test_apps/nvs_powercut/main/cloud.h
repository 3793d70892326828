/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The cloud of one device: certifies what it is asked to and commits what has proven itself.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_port.h"

#define CLOUD_DEVICE "device-1"

/** @brief A message of the device, over a connection with such an identity. */
void cloud_receive(cert_identity_kind_t identity, const char *topic, const char *payload, size_t len);

/** @brief Tell the device to rotate: with a key and certificate made here, or with a key of its own. */
void cloud_push_rotation(void);
void cloud_order_rotation(void);

/** @brief Send the device trust anchors of the next version, signed; cloud_trust_version() is that version. */
void cloud_push_trust(void);
uint32_t cloud_trust_version(void);

/** @brief The message for the device, and no longer the cloud's: free() it. NULL if there is none. */
char *cloud_take_message(const char **topic);
