/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "authority.h"
#include "device.h"
#include "esp_log.h"
#include "esp_private/partition_linux.h"
#include "power.h"

/** Worn stores a story is swept on: each reclaims another page, with other values in it. */
#define WORN_STORES 3

/** Pairs of cuts, the second during the recovery from the first, for each store. */
#define PAIRS 150

typedef struct {
    size_t cut_in_write;
    size_t cut_in_erase;
    size_t pages_erased; /* in the runs without a cut */
    size_t pairs;
    size_t lost;
} result_t;

static void need(life_end_t end)
{
    if (end != LIFE_DONE) {
        printf("nvs_powercut: failed without a cut\n");
        exit(EXIT_FAILURE);
    }
}

/* A device at the beginning of a story, on flash that was empty before. */
static void make_device(const story_t *story)
{
    flash_erase();
    device_forget();
    if (story->is_enrolled) {
        need(device_live(&story_enrollment));
    }
}

/* Use the store until the story makes NVS reclaim a page; the flash remembered is as it was just before. */
static void wear(const story_t *story)
{
    do {
        device_forget();
        power_on_for(POWER_NEVER_CUT);
        need(device_live(&story_rotation_pushed));
        flash_save();
        power_on_for(POWER_NEVER_CUT);
        need(device_live(story));
    } while (power_pages_erased() == 0);
}

static bool survives(const story_t *story)
{
    power_on_for(POWER_NEVER_CUT);
    return device_live(story) == LIFE_DONE;
}

static void judge(const story_t *story, life_end_t end, const char *how, size_t step, result_t *result)
{
    if (end == LIFE_WRONG || !survives(story)) {
        printf("%s: lost by a cut %s %zu steps\n", story->name, how, step);
        result->lost++;
    }
}

/* Cut the power after every step of a story, one cut in each run, until the story ends before the cut. The steps. */
static size_t sweep_single(const story_t *story, result_t *result)
{
    for (size_t steps = 0;; steps++) {
        flash_restore();
        device_forget();
        power_on_for(steps);
        life_end_t end = device_live(story);
        if (end == LIFE_DONE) {
            result->pages_erased += power_pages_erased();
            return steps;
        }
        result->cut_in_write += power_state() == POWER_CUT_IN_WRITE;
        result->cut_in_erase += power_state() == POWER_CUT_IN_ERASE;
        judge(story, end, "after", steps, result);
    }
}

/* Cut the power twice, at steps that differ from pair to pair and are the same in every run of this program. */
static void sweep_pairs(const story_t *story, size_t steps, result_t *result)
{
    unsigned seed = 1;
    for (int i = 0; i < PAIRS; i++) {
        flash_restore();
        device_forget();
        power_on_for((size_t)rand_r(&seed) % steps);
        life_end_t first = device_live(story);
        size_t second = (size_t)rand_r(&seed) % steps;
        power_on_for(second);
        life_end_t end = first == LIFE_CUT ? device_live(story) : first;
        result->pairs += first == LIFE_CUT && end == LIFE_CUT;
        judge(story, end, "and, in the recovery, another after", second, result);
    }
}

static void sweep(const story_t *story, result_t *result)
{
    size_t steps = sweep_single(story, result);
    sweep_pairs(story, steps, result);
}

static void print_row(const story_t *story, const char *store, const result_t *result)
{
    printf("%-18s %-6s %10zu %9zu %9zu %13zu %6zu %5zu\n", story->name, store,
           result->cut_in_write + result->cut_in_erase, result->cut_in_write, result->cut_in_erase,
           result->pages_erased, result->pairs, result->lost);
    fflush(stdout);
}

static result_t sweep_new(const story_t *story)
{
    result_t result = { 0 };
    make_device(story);
    flash_save();
    sweep(story, &result);
    print_row(story, "new", &result);
    return result;
}

static result_t sweep_worn(const story_t *story)
{
    result_t result = { 0 };
    make_device(story);
    for (int i = 0; i < WORN_STORES; i++) {
        wear(story);
        sweep(story, &result);
    }
    print_row(story, "worn", &result);
    return result;
}

void app_main(void)
{
    static const story_t *const stories[] = {
        &story_enrollment, &story_rotation_pushed, &story_rotation_by_csr, &story_roll_back, &story_trust_update,
        &story_factory_reset,
    };
    size_t cuts = 0;
    size_t pairs = 0;
    size_t lost = 0;
    esp_log_level_set("cert_agent", ESP_LOG_NONE); /* says that NVS does not open while the power is away */
    authority_make();
    printf("%-18s %-6s %10s %9s %9s %13s %6s %5s\n", "story", "store", "cut points", "in writes", "in erases",
           "pages erased", "pairs", "lost");
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
        result_t fresh = sweep_new(stories[i]);
        result_t worn = stories[i]->is_enrolled ? sweep_worn(stories[i]) : (result_t) { 0 };
        cuts += fresh.cut_in_write + fresh.cut_in_erase + worn.cut_in_write + worn.cut_in_erase;
        pairs += fresh.pairs + worn.pairs;
        lost += fresh.lost + worn.lost;
    }
    esp_partition_get_file_mmap_ctrl_input()->remove_dump = true;
    ESP_ERROR_CHECK(esp_partition_file_munmap());
    printf("nvs_powercut: %zu cut points, %zu pairs, %zu lost\n", cuts, pairs, lost);
    exit(lost == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
