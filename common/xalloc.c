/* SPDX-License-Identifier: Apache-2.0 */
#include "xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p)
{
    if (!p) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return p;
}

void *xmalloc(size_t bytes)
{
    return checked(malloc(bytes ? bytes : 1));
}

void *xcalloc(size_t count, size_t bytes)
{
    return checked(calloc(count ? count : 1, bytes ? bytes : 1));
}

void *xreallocarray(void *p, size_t count, size_t bytes)
{
    return checked(reallocarray(p, count ? count : 1, bytes ? bytes : 1));
}

char *xstrdup(const char *text)
{
    return checked(strdup(text));
}

char *xstrndup(const char *text, size_t bytes)
{
    return checked(strndup(text, bytes));
}

char *xasprintf(const char *format, ...)
{
    char *out = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&out, format, args);
    va_end(args);
    return checked(n < 0 ? NULL : out);
}
