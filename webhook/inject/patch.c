/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/inject/patch.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

#define POINTER_MAX_BYTES (1024 * 1024) /* keys are bounded by the body they came in */

char *pointer_key(const char *path, const char *token)
{
    strbuf_auto struct strbuf b = STRBUF_INIT(POINTER_MAX_BYTES);

    strbuf_adds(&b, path);
    strbuf_adds(&b, "/");
    for (const char *c = token; *c; c++) {
        if (*c == '~')
            strbuf_adds(&b, "~0");
        else if (*c == '/')
            strbuf_adds(&b, "~1");
        else
            strbuf_add(&b, c, 1);
    }
    return strbuf_take(&b);
}

char *pointer_index(const char *path, size_t index)
{
    return xasprintf("%s/%zu", path, index);
}

/* The operation keeps a copy: later edits may change the tree below. */
static void record(struct patch *p, const char *op, const char *path, const json_t *value)
{
    if (!p->ops)
        p->ops = json_array();
    json_t *operation = json_object();
    json_object_set_new(operation, "op", json_string(op));
    json_object_set_new(operation, "path", json_string(path));
    if (value)
        json_object_set_new(operation, "value", json_deep_copy(value));
    json_array_append_new(p->ops, operation);
}

void patch_set(struct patch *p, json_t *object, const char *path, const char *key, json_t *value)
{
    json_t *old = json_object_get(object, key);

    if (old && json_equivalent(old, value)) {
        json_decref(value);
        return;
    }
    autofree char *at = pointer_key(path, key);
    /* RFC 6902 4.1: "add" replaces a member that exists */
    record(p, "add", at, value);
    json_object_set_new(object, key, value);
}

void patch_remove(struct patch *p, json_t *object, const char *path, const char *key)
{
    if (!json_object_get(object, key))
        return;
    autofree char *at = pointer_key(path, key);
    record(p, "remove", at, NULL);
    json_object_del(object, key);
}

void patch_insert(struct patch *p, json_t *array, const char *path, size_t index, json_t *value)
{
    autofree char *at = pointer_index(path, index);

    record(p, "add", at, value);
    json_array_insert_new(array, index, value);
}

void patch_replace_at(struct patch *p, json_t *array, const char *path, size_t index, json_t *value)
{
    if (json_equivalent(json_array_get(array, index), value)) {
        json_decref(value);
        return;
    }
    autofree char *at = pointer_index(path, index);
    record(p, "replace", at, value);
    json_array_set_new(array, index, value);
}

void patch_remove_at(struct patch *p, json_t *array, const char *path, size_t index)
{
    autofree char *at = pointer_index(path, index);

    record(p, "remove", at, NULL);
    json_array_remove(array, index);
}

static json_t *container(struct patch *p, json_t *object, const char *path, const char *key,
                         json_type type, struct err *err)
{
    json_t *value = json_object_get(object, key);

    if (value && json_typeof(value) == type)
        return value;
    if (value && !json_is_null(value)) {
        (void)err_set(err, ERR_INPUT, "%s/%s is not %s", path, key,
                      type == JSON_ARRAY ? "a list" : "an object");
        return NULL;
    }
    autofree char *at = pointer_key(path, key);
    value = type == JSON_ARRAY ? json_array() : json_object();
    record(p, "add", at, value);
    json_object_set_new(object, key, value);
    return value;
}

json_t *patch_array(struct patch *p, json_t *object, const char *path, const char *key,
                    struct err *err)
{
    return container(p, object, path, key, JSON_ARRAY, err);
}

json_t *patch_object(struct patch *p, json_t *object, const char *path, const char *key,
                     struct err *err)
{
    return container(p, object, path, key, JSON_OBJECT, err);
}

size_t patch_size(const struct patch *p)
{
    return json_array_size(p->ops);
}

void patch_release(struct patch *p)
{
    json_decref(p->ops);
    p->ops = NULL;
}
