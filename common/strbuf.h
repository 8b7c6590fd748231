/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_STRBUF_H
#define MODELBERTH_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Text that grows up to a maximum the owner must name. What would pass the
 * maximum is not appended, and `overflow` stays set until release: callers
 * append freely and look once at the end.
 *
 *     strbuf_auto struct strbuf b = STRBUF_INIT(4096);
 *     strbuf_addf(&b, "%s\n", name);
 *     if (b.overflow) ...
 */
struct strbuf {
    char *text;   /* always 0-terminated once something was added; NULL before */
    size_t len;   /* bytes without the terminator */
    size_t alloc; /* bytes */
    size_t max;   /* bytes without the terminator */
    bool overflow;
};

#define STRBUF_INIT(max_bytes)                                                                     \
    {                                                                                              \
        .max = (max_bytes)                                                                         \
    }
#define strbuf_auto __attribute__((cleanup(strbuf_release)))

void strbuf_add(struct strbuf *b, const void *bytes, size_t len);
void strbuf_adds(struct strbuf *b, const char *text);
void strbuf_addf(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text, "" when empty: borrowed, valid until the next change. */
const char *strbuf_text(const struct strbuf *b);

/* The text as the caller's own; the buffer is empty afterwards. */
char *strbuf_take(struct strbuf *b);

/* Empties, keeps the memory, clears `overflow`. */
void strbuf_clear(struct strbuf *b);

/* Frees what the buffer holds. */
void strbuf_release(struct strbuf *b);

#endif
