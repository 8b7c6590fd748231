/* SPDX-License-Identifier: Apache-2.0 */
#include "strlist.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "xalloc.h"

void strlist_add(struct strlist *list, const char *text)
{
    list->v = xreallocarray(list->v, list->n + 1, sizeof *list->v);
    list->v[list->n++] = xstrdup(text);
}

bool strlist_has(const struct strlist *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->v[i], text))
            return true;
    return false;
}

void strlist_split(struct strlist *list, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        const char *start = text;
        size_t n = len;

        while (n && (*start == ' ' || *start == '\t'))
            start++, n--;
        while (n && (start[n - 1] == ' ' || start[n - 1] == '\t'))
            n--;
        if (n) {
            autofree char *part = xstrndup(start, n);
            strlist_add(list, part);
        }
        text += len;
        if (*text == ',')
            text++;
    }
}

void strlist_release(struct strlist *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    list->v = NULL;
    list->n = 0;
}
