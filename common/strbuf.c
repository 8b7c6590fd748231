/* SPDX-License-Identifier: Apache-2.0 */
#include "strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "xalloc.h"

void strbuf_add(struct strbuf *b, const void *bytes, size_t len)
{
    if (len > b->max - b->len) {
        b->overflow = true;
        return;
    }
    size_t need = b->len + len + 1;
    if (need > b->alloc) {
        size_t alloc = b->alloc ? b->alloc : 64;
        while (alloc < need)
            alloc *= 2;
        b->text = xreallocarray(b->text, alloc, 1);
        b->alloc = alloc;
    }
    if (len)
        memcpy(b->text + b->len, bytes, len);
    b->len += len;
    b->text[b->len] = '\0';
}

void strbuf_adds(struct strbuf *b, const char *text)
{
    strbuf_add(b, text, strlen(text));
}

void strbuf_addf(struct strbuf *b, const char *format, ...)
{
    autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0) {
        text = NULL;
        b->overflow = true;
        return;
    }
    strbuf_add(b, text, (size_t)n);
}

const char *strbuf_text(const struct strbuf *b)
{
    return b->text ? b->text : "";
}

char *strbuf_take(struct strbuf *b)
{
    char *text = b->text ? b->text : xstrdup("");

    b->text = NULL;
    b->len = b->alloc = 0;
    b->overflow = false;
    return text;
}

void strbuf_clear(struct strbuf *b)
{
    b->len = 0;
    b->overflow = false;
    if (b->text)
        b->text[0] = '\0';
}

void strbuf_release(struct strbuf *b)
{
    free(b->text);
    b->text = NULL;
    b->len = b->alloc = 0;
}
