/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_PATCH_H
#define MODELBERTH_PATCH_H

#include <jansson.h>
#include <stddef.h>

#include "common/err.h"

/*
 * Edits of a JSON tree, recorded as RFC 6902 operations while they are made.
 * Tree and operations stay in step, so every path and index is right for the
 * operations before it, a parent always exists before its member is added, and
 * an edit that would change nothing leaves no operation. What the edits do not touch
 * keeps every field, also those this program has never heard of.
 *
 * Each function takes a node of the tree and the JSON Pointer of that same
 * node. Values given are stolen.
 */
struct patch {
    json_t *ops; /* array of operations; NULL before the first */
};

#define patch_auto __attribute__((cleanup(patch_release)))

/* Sets object[key] unless it is already equivalent (json_equivalent()). */
void patch_set(struct patch *p, json_t *object, const char *path, const char *key, json_t *value);

/* Removes object[key] if it is there. */
void patch_remove(struct patch *p, json_t *object, const char *path, const char *key);

/* Inserts before `index`, or appends where index is the array's size. */
void patch_insert(struct patch *p, json_t *array, const char *path, size_t index, json_t *value);

/* Replaces array[index] unless it is already equivalent. */
void patch_replace_at(struct patch *p, json_t *array, const char *path, size_t index,
                      json_t *value);

void patch_remove_at(struct patch *p, json_t *array, const char *path, size_t index);

/*
 * The array or object object[key], borrowed; made empty where it is absent or
 * null, since an operation below a parent that is not there fails the user's request.
 * Returns NULL with ERR_INPUT where it is of another type.
 */
json_t *patch_array(struct patch *p, json_t *object, const char *path, const char *key,
                    struct err *err);
json_t *patch_object(struct patch *p, json_t *object, const char *path, const char *key,
                     struct err *err);

/* Number of operations. */
size_t patch_size(const struct patch *p);

void patch_release(struct patch *p);

/* path + "/" + token, with '~' and '/' in the token escaped (RFC 6901). The caller's to free. */
char *pointer_key(const char *path, const char *token);
char *pointer_index(const char *path, size_t index);

#endif
