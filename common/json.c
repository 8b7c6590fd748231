/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "xalloc.h"

/*
 * While a thread parses, its allocations come out of this budget and an empty
 * one makes jansson give up cleanly. Elsewhere (building trees of our own) the
 * memory is bounded by what was parsed, and running out ends the process.
 */
static _Thread_local bool parsing;
static _Thread_local size_t budget_bytes;
static _Thread_local bool exhausted;

static void *allocate(size_t bytes)
{
    if (!parsing)
        return xmalloc(bytes);
    if (bytes > budget_bytes) {
        exhausted = true;
        return NULL;
    }
    void *p = malloc(bytes);
    if (!p)
        return NULL;
    size_t taken = malloc_usable_size(p);
    budget_bytes -= taken < budget_bytes ? taken : budget_bytes;
    return p;
}

static void release(void *p)
{
    if (p && parsing)
        budget_bytes += malloc_usable_size(p);
    free(p);
}

void json_setup(void)
{
    json_set_alloc_funcs(allocate, release);
    /* hash seed from the kernel, now: lazily it would race between threads */
    json_object_seed(0);
}

/* Depth by a scan of the bytes: jansson's own limit is fixed when it is compiled. */
static int check_depth(const char *text, size_t len, size_t limit, struct err *err)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > limit)
                return err_set(err, ERR_INPUT, "JSON is nested deeper than %zu levels", limit);
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return 0;
}

int json_parse(const char *text, size_t len, const struct json_limits *limits, json_t **out,
               struct err *err)
{
    json_error_t error;

    if (check_depth(text, len, limits->depth, err))
        return -1;
    budget_bytes = limits->memory_bytes;
    exhausted = false;
    parsing = true;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    parsing = false;
    if (value) {
        *out = value;
        return 0;
    }
    if (exhausted) /* jansson does not report every failed allocation as such */
        return err_set(err, ERR_INPUT, "JSON needs more than %zu bytes of memory to parse",
                       limits->memory_bytes);
    return err_set(err, ERR_INPUT, "not JSON: line %d column %d: %s", error.line, error.column,
                   error.text);
}

static const char *article_of(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    default:
        return "true or false";
    }
}

static int member(const json_t *object, const char *where, const char *key, json_type type,
                  json_t **out, struct err *err)
{
    json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value))
        return 0;
    bool matches = json_typeof(value) == type || (type == JSON_TRUE && json_is_boolean(value));
    if (!matches)
        return err_set(err, ERR_INPUT, "%s.%s: %s expected", where, key, article_of(type));
    *out = value;
    return 1;
}

int json_string_get(const json_t *object, const char *where, const char *key, const char **out,
                    struct err *err)
{
    json_t *value = NULL;
    int found = member(object, where, key, JSON_STRING, &value, err);

    if (found == 1)
        *out = json_string_value(value);
    return found;
}

int json_bool_get(const json_t *object, const char *where, const char *key, bool *out,
                  struct err *err)
{
    json_t *value = NULL;
    int found = member(object, where, key, JSON_TRUE, &value, err);

    if (found == 1)
        *out = json_is_true(value);
    return found;
}

int json_int_get(const json_t *object, const char *where, const char *key, int64_t min, int64_t max,
                 int64_t *out, struct err *err)
{
    json_t *value = NULL;
    int found = member(object, where, key, JSON_INTEGER, &value, err);

    if (found != 1)
        return found;
    int64_t n = json_integer_value(value);
    if (n < min || n > max)
        return err_set(err, ERR_INPUT, "%s.%s: %lld is not within %lld to %lld", where, key,
                       (long long)n, (long long)min, (long long)max);
    *out = n;
    return 1;
}

int json_object_get_borrow(json_t *object, const char *where, const char *key, json_t **out,
                           struct err *err)
{
    return member(object, where, key, JSON_OBJECT, out, err);
}

int json_array_get_borrow(json_t *object, const char *where, const char *key, json_t **out,
                          struct err *err)
{
    return member(object, where, key, JSON_ARRAY, out, err);
}

static bool is_empty(const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL:
        return true;
    case JSON_STRING:
        return !json_string_length(value);
    case JSON_OBJECT:
        return !json_object_size(value);
    case JSON_ARRAY:
        return !json_array_size(value);
    default:
        return false;
    }
}

/* Every member of `a` has its equal in `b`. */
static bool members_match(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)a, key, value)
        if (!json_equivalent(value, json_object_get(b, key)))
            return false;
    return true;
}

bool json_equivalent(const json_t *a, const json_t *b)
{
    size_t i;
    json_t *value;

    if (is_empty(a) || is_empty(b))
        return is_empty(a) && is_empty(b);
    if (json_is_object(a) && json_is_object(b))
        return members_match(a, b) && members_match(b, a);
    if (!json_is_array(a) || !json_is_array(b))
        return json_equal(a, b);
    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach(a, i, value)
        if (!json_equivalent(value, json_array_get(b, i)))
            return false;
    return true;
}

json_t *json_string_lossy(const char *text)
{
    json_t *string = json_string(text);

    if (string)
        return string;
    autofree char *ascii = xstrdup(text);
    for (char *c = ascii; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(ascii);
}

char *json_text(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    return text ? text : xstrdup("null");
}
