/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The network of this example: Wi-Fi, or on the target `linux` the host's.
 */
#pragma once

#include "sdkconfig.h"

#if CONFIG_IDF_TARGET_LINUX
static inline void network_start(void)
{
}
#else
/** @brief Begin to bring the network up; it stays up, or comes back, by itself. */
void network_start(void);
#endif
