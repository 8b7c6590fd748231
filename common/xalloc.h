/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_XALLOC_H
#define MODELBERTH_XALLOC_H

#include <stddef.h>

/*
 * Allocation that cannot return NULL: when memory is out the process says so
 * in one line and aborts. That is sound only because every size that comes
 * from outside has a maximum before it is allocated.
 */
void *xmalloc(size_t bytes) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *xcalloc(size_t count, size_t bytes)
    __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xreallocarray(void *p, size_t count, size_t bytes)
    __attribute__((alloc_size(2, 3), returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t bytes) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
