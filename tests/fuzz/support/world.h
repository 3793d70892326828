/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A device in a world that means it no good: the agent on the fake platform, every call watched.
 *
 * Each function tells the agent one thing, deals with what follows (a loss of power, a restart), and then checks what
 * always has to hold.
 */
#pragma once

#include "cert_mgmt/cert_agent.h"
#include "fake_port.h"
#include "medium.h"

/** @brief The device and what is known about it. */
typedef struct {
    fake_port_t fake;
    cert_port_t unwatched;        /* the fake platform's own functions */
    cert_port_t port;
    cert_agent_config_t config;
    cert_agent_t agent;
    uint64_t now_ms;
    int next_power_left;          /* fake.power_left of the next start: power lost again while it recovers */
    bool expects_real_identities; /* false: somebody else wrote the store, so its keys and certificates may be anything
                                   */

    bool asked;                   /* to connect, and not answered yet */
    bool online;
    bool faulty;                  /* a change of the store has failed since the last good start */
    bool refused_input;           /* a message was turned down in this step, and not for the sake of storage */
    medium_view_t before;         /* at the end of the last step */
    uint64_t current_chain;       /* fingerprint of the chain of the current slot, likewise; 0: none */
} world_t;

/** @brief A device fresh from the factory, switched off. */
void world_init(world_t *world);

/** @brief Switch it on, with what the boot-surviving RAM holds. */
void world_boot(world_t *world);

/** @brief Lose power, then switch it on: the boot-surviving RAM holds `garbage`. */
void world_power_cycle(world_t *world, uint32_t garbage);

/** @brief The server accepts connection number `connection`, which may be one nobody waits for. */
void world_connected(world_t *world, uint32_t connection);

/** @brief The connection could not be made, or broke. */
void world_failed(world_t *world, uint32_t connection, cert_failure_t why);

/** @brief A message arrives. */
void world_message(world_t *world, uint32_t connection, const char *topic, const void *payload, size_t len);

/** @brief Time passes, then the agent does what is due. @return what cert_agent_tick() asks for */
uint32_t world_tick(world_t *world, uint64_t advance_ms);

/** @brief cert_agent_factory_reset() */
void world_factory_reset(world_t *world);

/** @brief What the store holds is another device's doing: take it as the new starting point. */
void world_accept_store(world_t *world);
