/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Runs a target once for every file given, or in the folders given: what libFuzzer does when it is given files, for
 * compilers that do not have it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned replay_file(const char *path, size_t len)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(len + 1);
    REQUIRE(file != NULL && data != NULL && fread(data, 1, len, file) == len, path);
    fclose(file);
    /* Without a line buffer of its own the name is out before a crash. */
    fprintf(stderr, "replay: %s\n", path);
    (void)LLVMFuzzerTestOneInput(data, len);
    free(data);
    return 1;
}

static unsigned replay(const char *path);

static unsigned replay_folder(const char *path)
{
    struct dirent **entries;
    unsigned count = 0;
    int found = scandir(path, &entries, NULL, alphasort);
    REQUIRE(found >= 0, path);
    for (int i = 0; i < found; i++) {
        if (entries[i]->d_name[0] != '.') {
            char *child = NULL;
            REQUIRE(asprintf(&child, "%s/%s", path, entries[i]->d_name) > 0, "out of memory");
            count += replay(child);
            free(child);
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

static unsigned replay(const char *path)
{
    struct stat info;
    REQUIRE(stat(path, &info) == 0, path);
    return S_ISDIR(info.st_mode) ? replay_folder(path) : replay_file(path, (size_t)info.st_size);
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        count += replay(argv[i]);
    }
    printf("replay: %u inputs\n", count);
    return count > 0 ? 0 : 1;
}
