/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bootstrap_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX 65536

/** Read a whole file into memory of its own, NUL-terminated. Returns NULL with errno set. */
static char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    char *text = NULL;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        goto done;
    }
    if (!S_ISREG(info.st_mode) || info.st_size > FILE_SIZE_MAX) {
        errno = EFBIG;
        goto done;
    }
    size_t size = (size_t)info.st_size;
    text = calloc(1, size + 1);
    if (text != NULL && read(fd, text, size) != (ssize_t)size) {
        free(text);
        text = NULL;
    }
done:
    close(fd);
    return text;
}

static bool load(const char *dir, const char *name, char **text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    *text = read_file(path);
    if (*text != NULL) {
        return true;
    }
    fprintf(stderr,
            "cert_agent: cannot read %s: %s\n"
            "cert_agent: a device needs bootstrap.crt, bootstrap.key and trust_anchors.pem in CERT_AGENT_BOOTSTRAP_DIR "
            "(default: certs).\n"
            "cert_agent: `scripts/make_test_pki.py` makes them in certs/, `fleetpki init` in fleet/bootstrap/.\n",
            path, strerror(errno));
    return false;
}

bool bootstrap_files_load(bootstrap_files_t *files)
{
    const char *dir = getenv("CERT_AGENT_BOOTSTRAP_DIR");
    if (dir == NULL || dir[0] == '\0') {
        dir = "certs";
    }
    memset(files, 0, sizeof(*files));
    if (!load(dir, "bootstrap.crt", &files->chain) || !load(dir, "bootstrap.key", &files->key) ||
        !load(dir, "trust_anchors.pem", &files->anchors)) {
        bootstrap_files_free(files);
        return false;
    }
    files->key_len = strlen(files->key) + 1;
    return true;
}

void bootstrap_files_free(bootstrap_files_t *files)
{
    if (files->key != NULL) {
        explicit_bzero(files->key, strlen(files->key));
    }
    free(files->key);
    free(files->chain);
    free(files->anchors);
    memset(files, 0, sizeof(*files));
}
