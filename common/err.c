/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    char msg[ERR_MSG_BYTES]; /* arguments may point into err->msg */
    va_list args;

    va_start(args, format);
    (void)vsnprintf(msg, sizeof msg, format, args);
    va_end(args);
    err->kind = kind;
    err->os_errno = 0;
    memcpy(err->msg, msg, sizeof msg);
    return -1;
}

static enum err_kind kind_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_PERMISSION;
    case ENOENT:
    case ENOTDIR:
        return ERR_MISSING;
    default:
        return ERR_SYSTEM;
    }
}

int err_errno(struct err *err, int os_errno, const char *format, ...)
{
    char what[ERR_MSG_BYTES];
    char text[128];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    err->kind = kind_of_errno(os_errno);
    err->os_errno = os_errno;
    /* GNU strerror_r: the result may or may not be the buffer */
    (void)snprintf(err->msg, sizeof err->msg, "%.880s: %s", what,
                   strerror_r(os_errno, text, sizeof text));
    return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
    char old[ERR_MSG_BYTES];
    char what[ERR_MSG_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    memcpy(old, err->msg, sizeof old);
    (void)snprintf(err->msg, sizeof err->msg, "%.400s: %.620s", what, old);
    return -1;
}
