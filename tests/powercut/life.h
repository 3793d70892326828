/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The device, alive: the real core on the emulated store, its cloud and the wire between them.
 *
 * What outlasts a loss of power is the world_t; the rest of life_t is gone with it. After a cut the core runs on to the
 * end of the call it is in, but nothing it does has any effect any more.
 */
#pragma once

#include "cert_mgmt/cert_agent.h"
#include "authority.h"
#include "cloud.h"
#include "medium.h"

#define WIRE_MAX 12
#define WIRE_UP_MAX 1280
#define WIRE_DOWN_MAX 4096

/** @brief A message of the device that has not reached the cloud yet. */
typedef struct {
    char leaf[16];
    int sender; /* the connection's certificate: stamped by the broker */
    char payload[WIRE_UP_MAX];
} wire_up_t;

/** @brief A message of the cloud that has not reached the device yet. */
typedef struct {
    char leaf[16];
    char payload[WIRE_DOWN_MAX];
} wire_down_t;

/** @brief What outlasts a loss of power. Plain data: a copy of it is another world. */
typedef struct {
    medium_t medium;
    cert_boot_ram_t boot_ram;
    bool clock_is_lost;        /* the device has had no power; it knows the time again when it gets online */
    cloud_t cloud;
    root_t server_root;        /* of the certificates of the cloud's servers */
    wire_up_t up[WIRE_MAX];
    int up_count;
    uint32_t random_state;
    int step;                  /* how far the story is told; each story has its own numbers */
    bool was_untrusted;        /* the device has refused a server */
    bool is_being_reset;       /* a factory reset has begun: generations begin anew */
    uint64_t tried;            /* a bit for each of the cloud's rotations whose certificate was on trial */
} world_t;

typedef struct life life_t;

/** @brief What a story needs to know. */
typedef struct {
    const char *name;
    bool begins_enrolled;
    bool takes_up_again;       /* one cut costs time, not the rotation: no second one has to be ordered */
    bool restarts_device;      /* the device is one that restarts to take up a staged identity */
    bool tells_the_end;        /* no cuts keep the cloud from hearing how a trial has ended */
    /** Set the stage, before the device is switched on. NULL: nothing to do */
    void (*prepare)(world_t *world);
    /** Operators and users act, whenever the device waits. @return whether anything was done */
    bool (*act)(life_t *life);
    /** Has the story come to its end? Asked when nothing is under way. */
    bool (*is_done)(const life_t *life);
} story_t;

/** @brief Called before every change of the store; may cut the power with life_cut(). */
typedef void (*life_on_change_t)(void *ctx, life_t *life, const medium_change_t *change);

/** @brief What goes wrong on the wire, in percent of the messages or connections. */
typedef struct {
    unsigned lost;
    unsigned repeated;
    unsigned reordered;
    unsigned broken;           /* connections not made, or broken before a message */
} wire_faults_t;

/** @brief A device from a start to a loss of power, or to the end of its story. */
struct life {
    world_t *world;
    const story_t *story;
    cert_port_t port;
    cert_agent_config_t config;
    cert_agent_t agent;
    uint64_t now_ms;
    uint64_t event_ms;         /* when anything happened last */
    bool is_powered;
    bool wants_restart;

    bool wants_connection;
    uint32_t connection;
    int session;               /* certificate of the connection, CLOUD_NONE while there is none */
    bool trusts_server;
    bool has_lost;             /* a message of this connection: the server cannot acknowledge all of them */
    wire_down_t down[WIRE_MAX];
    int down_count;
    wire_faults_t faults;
    uint32_t chaos;            /* state of the generator that decides about faults */

    const cloud_rotation_t *seen_rotation; /* what the operator watches: the rotation, its state, since when */
    cloud_rotation_state_t seen_state;
    uint64_t seen_ms;

    life_on_change_t on_change; /* NULL: the power stays */
    void *on_change_ctx;
    unsigned changes;
    cert_boot_ram_t scratch_ram; /* what the core writes to when the power is gone */
    bool is_verbose;
    char why[240];             /* what is wrong; "" while all is well */
};

/** @brief How a life ended. */
typedef enum {
    LIFE_DONE,  /* the story came to its end */
    LIFE_CUT,   /* the power was lost */
    LIFE_WRONG, /* life->why says what is wrong */
} life_end_t;

/** @brief A world before the device is switched on for the first time. */
void world_make(world_t *world);

/** @brief What a cut leaves of a world. @param sent  Whether messages on their way still reach the cloud */
void world_lose_power(world_t *world, bool keeps_ram, bool sent);

/** @brief A life in this world that has not begun. */
void life_prepare(life_t *life, world_t *world, const story_t *story);

/** @brief Switch the device on and let everything take its course. */
life_end_t life_live(life_t *life);

/** @brief Cut the power now. */
void life_cut(life_t *life);

/** @brief Something is wrong: remember what, and end the life. */
void life_fail(life_t *life, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** @brief Milliseconds since anything happened last. */
uint64_t life_idle_ms(const life_t *life);

/** @brief Is the device online with its active certificate? */
bool life_is_settled(const life_t *life);

/** @brief The broker ends the connection. */
void life_kick(life_t *life);

/** @brief The outlet for messages of the cloud. */
cloud_outlet_t life_outlet(life_t *life);

/** @brief A number from 0 to below `limit` that decides about faults; the same in every run with the same seed. */
unsigned life_dice(life_t *life, unsigned limit);
