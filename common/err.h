/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_ERR_H
#define MODELBERTH_ERR_H

#include <stddef.h>

/*
 * Errors are plain values on the caller's stack: nothing to free, safe in any
 * thread. A function that can fail takes `struct err *err` last and returns 0,
 * or -1 with *err filled; on success *err, and on failure every
 * out-parameter, is untouched. Lookups return 1 found, 0 not found, -1 failed.
 *
 * Messages are lower case, without a full stop, and say what failed first:
 * "cannot open 'x': No space left on device". They go as they are into an
 * admission status or a termination message, so they never hold a secret.
 */
enum err_kind {
    ERR_SYSTEM = 1, /* anything that has no kind of its own */
    ERR_INPUT,      /* what the caller gave is malformed */
    ERR_DENIED,     /* well formed, but must not be done */
    ERR_INTEGRITY,  /* content is not what the pin says */
    ERR_RETRY,      /* transient: trying again may help */
    ERR_NOSPACE,    /* volume or quota is full */
    ERR_PERMISSION, /* no permission, read-only, or a volume that cannot do what is needed */
    ERR_SOURCE,     /* the source says no: 401, 403, 404, gated, no such revision */
    ERR_MISSING,    /* path is missing or structurally broken */
};

#define ERR_MSG_BYTES 1024

struct err {
    enum err_kind kind;
    int os_errno; /* 0 where no system call failed */
    char msg[ERR_MSG_BYTES];
};

/* Fills *err and returns -1, so that failing is one line. A message that is too long is cut. */
int err_set(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * As err_set(), with ": <text of os_errno>" appended and the kind taken from
 * os_errno: ENOSPC and EDQUOT give ERR_NOSPACE; EACCES, EPERM and EROFS give
 * ERR_PERMISSION; ENOENT and ENOTDIR give ERR_MISSING; all others ERR_SYSTEM.
 */
int err_errno(struct err *err, int os_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " in front of the message; kind and errno stay. Returns -1. */
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
