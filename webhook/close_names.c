/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/close_names.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/strbuf.h"

#define NAME_MAX_BYTES 64 /* longer names are compared by this much of them */
#define SHOWN_MAX 3
#define TEXT_MAX_BYTES 1024
#define PREFIX_MIN_BYTES 3

/* Letters to insert, delete or replace, or neighbours to swap, until `a` is `b`; case apart. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NAME_MAX_BYTES + 1];
    size_t *before_last = rows[0];
    size_t *last = rows[1];
    size_t *row = rows[2];
    size_t n = strnlen(a, NAME_MAX_BYTES);
    size_t m = strnlen(b, NAME_MAX_BYTES);

    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            int x = tolower((unsigned char)a[i - 1]);
            int y = tolower((unsigned char)b[j - 1]);
            size_t best = last[j - 1] + (x != y);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) && before_last[j - 2] + 1 < best)
                best = before_last[j - 2] + 1;
            row[j] = best;
        }
        size_t *free_row = before_last;
        before_last = last;
        last = row;
        row = free_row;
    }
    return last[m];
}

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

static int is_close(const char *name, const char *known)
{
    const char *a = last_part(name);
    const char *b = last_part(known);
    size_t shorter = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

    if (shorter >= PREFIX_MIN_BYTES && !strncasecmp(a, b, shorter))
        return 1;
    /* two slips, but not in a name of three letters */
    return distance(a, b) <= (shorter > 4 ? 2 : 1) && shorter > 1;
}

char *close_names(const char *name, const struct strlist *known)
{
    strbuf_auto struct strbuf out = STRBUF_INIT(TEXT_MAX_BYTES);
    size_t shown = 0;

    for (size_t i = 0; i < known->n && shown < SHOWN_MAX; i++)
        if (is_close(name, known->v[i]))
            strbuf_addf(&out, "%s'%s'", shown++ ? " or " : "", known->v[i]);
    return strbuf_take(&out);
}

char *names_listed(const struct strlist *names)
{
    strbuf_auto struct strbuf out = STRBUF_INIT(TEXT_MAX_BYTES);

    for (size_t i = 0; i < names->n; i++)
        strbuf_addf(&out, "%s'%s'", i ? ", " : "", names->v[i]);
    return strbuf_take(&out);
}
