/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_FILE_H
#define MODELBERTH_FILE_H

#include <stddef.h>

#include "err.h"

/*
 * Reads a whole file of at most max_bytes.
 *
 * out  0-terminated, the caller's to free
 * len  bytes without the terminator; may be NULL
 *
 * Returns 0, or -1 with *err: as err_errno() when it cannot be opened or read,
 * ERR_INPUT when it is larger. `dirfd` is as for openat(2), or AT_FDCWD.
 */
int file_read(int dirfd, const char *path, size_t max_bytes, char **out, size_t *len,
              struct err *err);

/* Reads `fd` to its end; `name` is for messages. Otherwise as file_read(). */
int file_read_fd(int fd, const char *name, size_t max_bytes, char **out, size_t *len,
                 struct err *err);

/* Writes all bytes, continuing after short writes and signals. `name` is for messages. */
int file_write_all(int fd, const char *name, const void *bytes, size_t len, struct err *err);

/*
 * Replaces the file `name` in the directory `dirfd` by the given bytes so that
 * a reader sees the old content or the new, also after a crash: temporary
 * file, fsync, rename, fsync of the directory.
 */
int file_replace(int dirfd, const char *name, const void *bytes, size_t len, unsigned mode,
                 struct err *err);

/* As file_replace() for a path: its directory must exist. */
int file_replace_path(const char *path, const void *bytes, size_t len, unsigned mode,
                      struct err *err);

#endif
