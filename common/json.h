/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_JSON_H
#define MODELBERTH_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/*
 * jansson with limits, and getters whose messages name the member.
 *
 * jansson turns 7 MiB of "{}," into half a gigabyte and recurses to a depth of
 * 2,048: the bytes that come in are not the memory that goes out, so text from
 * outside is parsed under a budget.
 */
struct json_limits {
    size_t depth;        /* levels of nesting */
    size_t memory_bytes; /* heap that the tree may take */
};

/* Routes jansson's allocations through this module. Call once, before any thread starts. */
void json_setup(void);

/*
 * Parses one JSON text and refuses duplicate keys, NUL in strings, and whatever
 * passes the limits.
 *
 * out  a new reference
 *
 * Returns 0, or -1 with ERR_INPUT and a message with line and column.
 */
int json_parse(const char *text, size_t len, const struct json_limits *limits, json_t **out,
               struct err *err);

/*
 * Typed members of `object`. An absent member and an explicit null are the same
 * (0); found is 1; -1 with ERR_INPUT "<where>.<key>: <type> expected" where the type
 * is another. `where` names the object in messages. Strings are borrowed.
 */
int json_string_get(const json_t *object, const char *where, const char *key, const char **out,
                    struct err *err);
int json_bool_get(const json_t *object, const char *where, const char *key, bool *out,
                  struct err *err);
/* Accepts min..max, otherwise ERR_INPUT. */
int json_int_get(const json_t *object, const char *where, const char *key, int64_t min, int64_t max,
                 int64_t *out, struct err *err);
int json_object_get_borrow(json_t *object, const char *where, const char *key, json_t **out,
                           struct err *err);
int json_array_get_borrow(json_t *object, const char *where, const char *key, json_t **out,
                          struct err *err);

/*
 * True when both say the same to the API server: an absent member equals an
 * empty one (null, "", [], {}), since those are left out when an object is stored. False and 0
 * equal only themselves: in many fields (runAsUser, allowPrivilegeEscalation) absent means
 * something else. Lists are compared by position.
 */
bool json_equivalent(const json_t *a, const json_t *b);

/*
 * A string of text that may have been cut in the middle of a character, as
 * messages are: what is not UTF-8 becomes '?', where json_string() would give NULL.
 */
json_t *json_string_lossy(const char *text);

/* Compact text, the caller's to free. */
char *json_text(const json_t *value);

#endif
