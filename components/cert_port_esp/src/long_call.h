/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A call of the agent that takes long: making an RSA key, which takes up to minutes.
 *
 * mbedTLS does that in one go, without a callback. But it asks for random numbers all the time, and this listens: it
 * says in the log that the work goes on, and ends it by refusing random numbers once nobody wants its result any more.
 */
#pragma once

/** @brief A call of the agent begins. From the agent's task only. */
void long_call_begin(void);

/**
 * @brief Give up the running call if it takes long; one that ends by itself in a moment is left alone. From any task.
 *
 * The agent sees that the key could not be made, and is then ready for what made somebody give it up, e.g. a restart.
 */
void long_call_give_up(void);
