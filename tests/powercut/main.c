/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * powercut: cuts the power of a simulated device at every change of its store, and again during the recovery, and looks
 * whether it ever loses its identity.
 *
 *   powercut                                   everything
 *   powercut --single                          every single cut only, and a few random lives: seconds
 *   powercut --scenario NAME [--cut CUT]...    one case in detail, e.g. --cut 7:lost --cut 3:complete+ram+sent
 *   powercut --seed N                          one random life in detail
 *
 * A CUT is CHANGE:LEFT[@PREFIX][+ram][+sent]: the number of the change of the store since the start; what it leaves:
 * lost, complete, truncated, mixed or blank, the last three with the number of bytes that got through; whether the
 * boot-surviving RAM survives (a crash); whether messages on their way still arrive.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "authority.h"
#include "chaos.h"
#include "stories.h"
#include "sweep.h"

#define STORIES_MAX 32
#define CUTS_MAX 8

/* Random lives are shared out in jobs, as many as scenarios at most. */
#define CHAOS_JOBS 8u
#define CHAOS_RUNS 2000u
#define CHAOS_RUNS_SINGLE 16u

#define JOBS_MAX (STORIES_MAX + CHAOS_JOBS)

typedef struct {
    unsigned runs;
    unsigned cuts;
    unsigned lost;
} chaos_result_t;

/* One job is one process: a scenario, or a share of the random lives. */
typedef struct {
    const story_t *story; /* NULL: random lives */
    uint32_t first_seed;
    unsigned runs;
    sweep_depth_t depth;
    pid_t pid;
    int pipe;
    sweep_result_t sweep;
    chaos_result_t chaos;
} job_t;

static void fail(const char *what)
{
    fprintf(stderr, "powercut: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void work(job_t *job)
{
    if (job->story != NULL) {
        job->sweep = sweep_story(job->story, job->depth);
        return;
    }
    for (uint32_t seed = job->first_seed; seed < job->first_seed + job->runs; seed++) {
        unsigned cuts;
        job->chaos.lost += chaos_run(seed, false, &cuts) ? 0u : 1u;
        job->chaos.cuts += cuts;
        job->chaos.runs++;
    }
}

static void start(job_t *job)
{
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0) {
        fail("pipe");
    }
    job->pid = fork();
    if (job->pid < 0) {
        fail("fork");
    }
    if (job->pid == 0) {
        work(job);
        fflush(stdout);
        ssize_t written = write(ends[1], job, sizeof(*job));
        _exit(written == (ssize_t)sizeof(*job) ? 0 : 2);
    }
    close(ends[1]);
    job->pipe = ends[0];
}

/** Take the result of a job whose process has ended. */
static void finish(job_t *job)
{
    job_t result;
    if (read(job->pipe, &result, sizeof(result)) != (ssize_t)sizeof(result)) {
        fprintf(stderr, "powercut: the process for %s died\n", job->story != NULL ? job->story->name : "random lives");
        exit(2);
    }
    close(job->pipe);
    job->sweep = result.sweep;
    job->chaos = result.chaos;
    job->pid = 0;
}

static void wait_for_one(job_t *jobs, unsigned count)
{
    pid_t pid = wait(NULL);
    for (unsigned i = 0; i < count; i++) {
        if (jobs[i].pid == pid) {
            finish(&jobs[i]);
            return;
        }
    }
    fail("wait");
}

static void run_jobs(job_t *jobs, unsigned count)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long running = 0;
    for (unsigned i = 0; i < count; i++) {
        if (running >= cores) {
            wait_for_one(jobs, i);
            running--;
        }
        start(&jobs[i]);
        running++;
    }
    for (; running > 0; running--) {
        wait_for_one(jobs, count);
    }
}

static unsigned plan(job_t *jobs, sweep_depth_t depth)
{
    unsigned count = 0;
    unsigned runs = (depth == SWEEP_SINGLE ? CHAOS_RUNS_SINGLE : CHAOS_RUNS) / CHAOS_JOBS;
    for (const story_t *story = stories; story->name != NULL; story++) {
        jobs[count++] = (job_t){.story = story, .depth = depth};
    }
    for (unsigned i = 0; i < CHAOS_JOBS; i++) {
        jobs[count++] = (job_t){.first_seed = 1 + i * runs, .runs = runs};
    }
    return count;
}

static void add(sweep_result_t *total, const sweep_result_t *part)
{
    total->changes += part->changes;
    total->cuts += part->cuts;
    total->pairs += part->pairs;
    total->lost += part->lost;
    total->torn += part->torn;
    total->torn_lost += part->torn_lost;
}

static void print_row(const char *name, const sweep_result_t *sweep)
{
    printf("%-24s %8u %8u %8u %6u %10u %6u\n", name, sweep->changes, sweep->cuts, sweep->pairs, sweep->lost,
           sweep->torn, sweep->torn_lost);
}

/** Print the table. @return 0, or 1 if a device was lost */
static int print_results(const job_t *jobs, unsigned count)
{
    sweep_result_t total = {0};
    chaos_result_t chaos = {0};
    printf("%-24s %8s %8s %8s %6s %10s %6s\n", "scenario", "changes", "cuts", "pairs", "lost", "torn", "lost");
    for (unsigned i = 0; i < count; i++) {
        if (jobs[i].story != NULL) {
            print_row(jobs[i].story->name, &jobs[i].sweep);
        }
        add(&total, &jobs[i].sweep);
        chaos.runs += jobs[i].chaos.runs;
        chaos.cuts += jobs[i].chaos.cuts;
        chaos.lost += jobs[i].chaos.lost;
    }
    print_row("all", &total);
    printf("random lives: %u with %u cuts, messages lost, repeated and out of order, seeds 1 to %u: %u lost\n",
           chaos.runs, chaos.cuts, chaos.runs, chaos.lost);
    printf("torn: values left half written or half erased, which the port's contract rules out\n");
    unsigned lost = total.lost + total.torn_lost + chaos.lost;
    printf("powercut: %u cut points, %u lost\n", total.cuts + total.pairs + total.torn + chaos.cuts, lost);
    return lost > 0 ? 1 : 0;
}

static int run_everything(sweep_depth_t depth)
{
    static job_t jobs[JOBS_MAX];
    unsigned count = plan(jobs, depth);
    run_jobs(jobs, count);
    return print_results(jobs, count);
}

static int usage(void)
{
    fprintf(stderr, "usage: powercut [--single | --scenario NAME [--cut CUT]... | --seed N]\nscenarios:");
    for (const story_t *story = stories; story->name != NULL; story++) {
        fprintf(stderr, " %s", story->name);
    }
    fprintf(stderr, "\na CUT: CHANGE:lost|complete|truncated|mixed|blank[@PREFIX][+ram][+sent]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"single", no_argument, NULL, '1'},
        {"scenario", required_argument, NULL, 's'},
        {"cut", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 'r'},
        {0},
    };
    const story_t *story = NULL;
    cut_t cuts[CUTS_MAX];
    unsigned cut_count = 0;
    sweep_depth_t depth = SWEEP_PAIRS;
    const char *seed = NULL;
    int option;
    authority_make();
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '1') {
            depth = SWEEP_SINGLE;
        } else if (option == 's' && (story = story_find(optarg)) != NULL) {
            continue;
        } else if (option == 'c' && cut_count < CUTS_MAX && cut_parse(optarg, &cuts[cut_count])) {
            cut_count++;
        } else if (option == 'r') {
            seed = optarg;
        } else {
            return usage();
        }
    }
    if (seed != NULL) {
        unsigned cuts_made;
        return chaos_run((uint32_t)strtoul(seed, NULL, 10), true, &cuts_made) ? 0 : 1;
    }
    if (story != NULL) {
        return sweep_replay(story, cuts, cut_count) ? 0 : 1;
    }
    return cut_count > 0 ? usage() : run_everything(depth);
}
