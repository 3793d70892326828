/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Makes the core's public-key operations cheap to repeat.
 */
#pragma once

/**
 * @brief Where the keys of the run in progress are counted: the device's next key is the authority's key of this
 * number.
 */
void shortcuts_count_keys(int *keys_made);
