/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_STRLIST_H
#define MODELBERTH_STRLIST_H

#include <stdbool.h>
#include <stddef.h>

/* A list of strings that owns them. Zero-initialised is empty. */
struct strlist {
    char **v;
    size_t n;
};

void strlist_add(struct strlist *list, const char *text);
bool strlist_has(const struct strlist *list, const char *text);

/*
 * Adds the comma-separated parts of `text`, spaces around each removed; an
 * empty part is left out.
 */
void strlist_split(struct strlist *list, const char *text);

void strlist_release(struct strlist *list);

#endif
