/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define SUFFIX_NEW ".new"
#define NAME_MAX_LEN 32

/** Log what the system says and translate errno. */
static cert_status_t failed(const char *action, const char *name)
{
    int error = errno;
    log_printf(CERT_LOG_ERROR, "store: cannot %s \"%s\": %s", action, name, strerror(error));
    bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return full ? CERT_ERR_STORAGE_FULL : CERT_ERR_STORAGE;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            data += written;
            len -= (size_t)written;
        }
    }
    return true;
}

/** Overwrite a file that is no longer needed with zeros. Best effort: it is about to disappear anyway. */
static void overwrite(int fd)
{
    static const uint8_t zeros[1024];
    struct stat info;
    if (fstat(fd, &info) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        return;
    }
    for (off_t left = info.st_size; left > 0; left -= (off_t)sizeof(zeros)) {
        size_t chunk = left < (off_t)sizeof(zeros) ? (size_t)left : sizeof(zeros);
        if (!write_all(fd, zeros, chunk)) {
            return;
        }
    }
    fsync(fd);
}

/** Overwrite and unlink. Returns false with errno set; a file that does not exist is fine. */
static bool remove_file(int dir, const char *name)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT;
    }
    overwrite(fd);
    close(fd);
    return unlinkat(dir, name, 0) == 0 && fsync(dir) == 0;
}

/** Remove the new files of writes that never got as far as the rename. */
static bool remove_leftovers(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    DIR *listing = fdopendir(fd);
    if (listing == NULL) {
        close(fd);
        return false;
    }
    bool done = true;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        const char *suffix = strrchr(entry->d_name, '.');
        if (suffix != NULL && strcmp(suffix, SUFFIX_NEW) == 0) {
            done = remove_file(dir, entry->d_name) && done;
        }
    }
    int error = errno;
    closedir(listing);
    errno = error;
    return done;
}

cert_status_t storage_open(storage_t *storage, const char *path)
{
    storage->dir = -1;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return CERT_ERR_STORAGE;
    }
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return CERT_ERR_STORAGE;
    }
    if (faccessat(dir, ".", R_OK | W_OK | X_OK, 0) != 0 || !remove_leftovers(dir)) {
        int error = errno;
        close(dir);
        errno = error;
        return CERT_ERR_STORAGE;
    }
    storage->dir = dir;
    return CERT_OK;
}

void storage_close(storage_t *storage)
{
    close(storage->dir);
    storage->dir = -1;
}

cert_status_t storage_read(const storage_t *storage, const char *key, uint8_t *buf, size_t cap, size_t *len)
{
    *len = 0;
    int fd = openat(storage->dir, key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? CERT_ERR_NOT_FOUND : failed("open", key);
    }
    cert_status_t status = CERT_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = failed("read", key);
    } else if (info.st_size > (off_t)cap) {
        status = CERT_ERR_TOO_LARGE;
    }
    while (status == CERT_OK && *len < (size_t)info.st_size) {
        ssize_t got = read(fd, buf + *len, (size_t)info.st_size - *len);
        if (got == 0) {
            break;
        }
        if (got > 0) {
            *len += (size_t)got;
        } else if (errno != EINTR) {
            status = failed("read", key);
        }
    }
    close(fd);
    return status;
}

/** Write the new file beside the old one and bring it to the medium. */
static bool write_new(int dir, const char *name, const uint8_t *data, size_t len)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return false;
    }
    bool done = write_all(fd, data, len) && fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return done;
}

cert_status_t storage_write(const storage_t *storage, const char *key, const uint8_t *data, size_t len)
{
    char name[NAME_MAX_LEN];
    snprintf(name, sizeof(name), "%s" SUFFIX_NEW, key);
    int old = openat(storage->dir, key, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    cert_status_t status = CERT_OK;
    if (!write_new(storage->dir, name, data, len) || renameat(storage->dir, name, storage->dir, key) != 0) {
        status = failed("write", key);
        remove_file(storage->dir, name);
    } else if (fsync(storage->dir) != 0) { /* the new value is there, but perhaps not after a loss of power */
        status = failed("write", key);
    } else if (old >= 0) {
        overwrite(old);
    }
    if (old >= 0) {
        close(old);
    }
    return status;
}

cert_status_t storage_erase(const storage_t *storage, const char *key)
{
    return remove_file(storage->dir, key) ? CERT_OK : failed("erase", key);
}
