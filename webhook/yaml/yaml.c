/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/yaml/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "webhook/yaml/yaml_scalar.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

struct anchor {
    char *name;
    json_t *value;
};

/* One document while it is read. */
struct reader {
    yaml_parser_t parser;
    const char *name;
    const struct yaml_doc *doc;
    size_t depth_left;
    size_t nodes_left;
    struct anchor *anchors;
    size_t n_anchors;
    struct yaml_positions *positions; /* may be NULL */
    struct err *err;
};

static void event_cleanup(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define event_auto __attribute__((cleanup(event_cleanup)))

static json_t *read_value(struct reader *r, const yaml_event_t *event);

static int fail_at(const struct reader *r, const yaml_mark_t *mark, const char *what)
{
    return err_set(r->err, ERR_INPUT, "%s:%zu:%zu: %s", r->name, r->doc->line + mark->line + 1,
                   mark->column + 1, what);
}

static json_t *null_at(const struct reader *r, const yaml_event_t *event, const char *what)
{
    (void)fail_at(r, &event->start_mark, what);
    return NULL;
}

/* Errors of libyaml itself. Its byte reader, which runs ahead, gives an offset only. */
static int fail_parser(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t mark = p->problem_mark;

    if (p->error == YAML_READER_ERROR) {
        mark = (yaml_mark_t){0};
        for (size_t i = 0; i < p->problem_offset && i < r->doc->len; i++) {
            mark.column++;
            if (r->doc->text[i] == '\n') {
                mark.line++;
                mark.column = 0;
            }
        }
    }
    return fail_at(r, &mark, p->problem ? p->problem : "not valid YAML");
}

static int next_event(struct reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->parser, event) ? 0 : fail_parser(r);
}

static bool take_node(struct reader *r)
{
    if (!r->nodes_left)
        return false;
    r->nodes_left--;
    return true;
}

static const char *short_tag(const yaml_char_t *tag)
{
    const char *text = (const char *)tag;

    if (!text)
        return "";
    return strncmp(text, TAG_PREFIX, strlen(TAG_PREFIX)) ? text : text + strlen(TAG_PREFIX);
}

static json_t *read_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *problem = NULL;
    json_t *value =
        yaml_scalar_value((const char *)event->data.scalar.value, event->data.scalar.length,
                          short_tag(event->data.scalar.tag),
                          event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE, &problem);

    return value ? value : null_at(r, event, problem);
}

/* The key as text, the caller's to free; NULL on failure. */
static char *read_key(struct reader *r, const yaml_event_t *event)
{
    json_auto_t *value = read_value(r, event);

    if (!value)
        return NULL;
    switch (json_typeof(value)) {
    case JSON_STRING:
        return xstrdup(json_string_value(value));
    case JSON_INTEGER:
        return xasprintf("%lld", (long long)json_integer_value(value));
    case JSON_REAL:
        return xasprintf("%.9g", json_real_value(value));
    case JSON_TRUE:
        return xstrdup("true");
    case JSON_FALSE:
        return xstrdup("false");
    default:
        (void)fail_at(r, &event->start_mark, "a key must be text");
        return NULL;
    }
}

/* Takes the value's nodes from the budget, as it is about to be copied; false when it is too much.
 */
static bool charge(struct reader *r, const json_t *value, size_t depth_left)
{
    size_t i;
    const char *key;
    json_t *child;

    if (!take_node(r))
        return false;
    if ((json_is_object(value) || json_is_array(value)) && !depth_left)
        return false;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, child)
            if (!charge(r, child, depth_left - 1))
                return false;
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, child)
            if (!charge(r, child, depth_left - 1))
                return false;
    }
    return true;
}

static json_t *read_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;

    /* the last one of that name counts */
    for (size_t i = r->n_anchors; i-- > 0;) {
        if (strcmp(r->anchors[i].name, name) != 0)
            continue;
        if (!charge(r, r->anchors[i].value, r->depth_left))
            return null_at(r, event, "aliases make this document too large or too deep");
        return json_deep_copy(r->anchors[i].value);
    }
    return null_at(r, event, "this alias names an anchor that is not complete before it");
}

static void remember(struct reader *r, const yaml_char_t *anchor, json_t *value)
{
    if (!anchor)
        return;
    r->anchors = xreallocarray(r->anchors, r->n_anchors + 1, sizeof *r->anchors);
    r->anchors[r->n_anchors++] =
        (struct anchor){.name = xstrdup((const char *)anchor), .value = json_incref(value)};
}

static json_t *read_sequence(struct reader *r)
{
    json_auto_t *list = json_array();

    for (;;) {
        event_auto yaml_event_t event = {0};
        if (next_event(r, &event))
            return NULL;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return json_incref(list);
        json_t *item = read_value(r, &event);
        if (!item)
            return NULL;
        json_array_append_new(list, item);
    }
}

static bool is_merge(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT &&
           ((event->data.scalar.plain_implicit &&
             event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) ||
            !strcmp(short_tag(event->data.scalar.tag), "merge")) &&
           !strcmp((const char *)event->data.scalar.value, "<<");
}

/* Members of `from` that `object` lacks. */
static void merge(json_t *object, json_t *from)
{
    const char *key;
    json_t *value;

    json_object_foreach(from, key, value)
        if (!json_object_get(object, key))
            json_object_set(object, key, value);
}

/* `merged` is what stood behind "<<": a mapping, or a list of them. */
static int merge_all(struct reader *r, const yaml_mark_t *mark, json_t *object, json_t *merged)
{
    size_t i;
    json_t *from;

    if (json_is_object(merged)) {
        merge(object, merged);
        return 0;
    }
    if (!json_is_array(merged))
        return fail_at(r, mark, "'<<' needs a mapping or a list of mappings");
    json_array_foreach(merged, i, from) {
        if (!json_is_object(from))
            return fail_at(r, mark, "'<<' needs a mapping or a list of mappings");
        merge(object, from);
    }
    return 0;
}

/* One key and its value. */
static int read_member(struct reader *r, const yaml_event_t *key_event, json_t *object,
                       json_t *merged)
{
    event_auto yaml_event_t event = {0};
    autofree char *key = NULL;

    bool merges = is_merge(key_event);
    if (!merges && !(key = read_key(r, key_event)))
        return -1;
    if (key && json_object_get(object, key)) {
        autofree char *what = xasprintf("key '%.200s' is there twice", key);
        return fail_at(r, &key_event->start_mark, what);
    }
    if (next_event(r, &event))
        return -1;
    json_t *value = read_value(r, &event);
    if (!value)
        return -1;
    if (merges) {
        json_array_append_new(merged, value);
        return 0;
    }
    json_object_set_new(object, key, value);
    if (r->positions)
        yaml_positions_add(r->positions, object, key, r->doc->line + key_event->start_mark.line + 1,
                           key_event->start_mark.column + 1);
    return 0;
}

static json_t *read_mapping(struct reader *r)
{
    json_auto_t *object = json_object();
    json_auto_t *merged = json_array(); /* explicit keys win over these, wherever they stand */
    size_t i;
    json_t *from;

    for (;;) {
        event_auto yaml_event_t event = {0};
        if (next_event(r, &event))
            return NULL;
        if (event.type == YAML_MAPPING_END_EVENT) {
            json_array_foreach(merged, i, from)
                if (merge_all(r, &event.start_mark, object, from))
                    return NULL;
            return json_incref(object);
        }
        if (read_member(r, &event, object, merged))
            return NULL;
    }
}

static json_t *read_collection(struct reader *r, const yaml_event_t *event)
{
    bool is_list = event->type == YAML_SEQUENCE_START_EVENT;
    const char *tag =
        short_tag(is_list ? event->data.sequence_start.tag : event->data.mapping_start.tag);

    if (*tag && strcmp(tag, "!") != 0 && strcmp(tag, is_list ? "seq" : "map") != 0)
        return null_at(r, event, "this tag is not supported");
    if (!r->depth_left)
        return null_at(r, event, "nested too deep");
    r->depth_left--;
    json_t *value = is_list ? read_sequence(r) : read_mapping(r);
    r->depth_left++;
    return value;
}

/* The value that begins with `event`: a new reference, or NULL on failure. */
static json_t *read_value(struct reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    json_t *value = NULL;

    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(r, event);
    if (!take_node(r))
        return null_at(r, event, "the document holds too many values");
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        value = read_scalar(r, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        value = read_collection(r, event);
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        value = read_collection(r, event);
        break;
    default:
        return null_at(r, event, "a value expected");
    }
    if (value)
        remember(r, anchor, value);
    return value;
}

/* Reads one event and fails unless it is of the type. */
static int expect(struct reader *r, yaml_event_type_t type)
{
    event_auto yaml_event_t event = {0};

    if (next_event(r, &event))
        return -1;
    return event.type == type ? 0 : fail_at(r, &event.start_mark, "more than one document here");
}

static int read_document(struct reader *r, json_t **out)
{
    event_auto yaml_event_t start = {0};
    event_auto yaml_event_t first = {0};
    json_auto_t *value = NULL;

    if (expect(r, YAML_STREAM_START_EVENT) || next_event(r, &start))
        return -1;
    if (start.type == YAML_STREAM_END_EVENT)
        return 0;
    if (next_event(r, &first))
        return -1;
    bool empty = first.type == YAML_SCALAR_EVENT && !first.data.scalar.length &&
                 first.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !first.data.scalar.tag;
    if (!(value = read_value(r, &first)) || expect(r, YAML_DOCUMENT_END_EVENT) ||
        expect(r, YAML_STREAM_END_EVENT))
        return -1;
    if (empty)
        return 0;
    *out = json_incref(value);
    return 1;
}

static void release_anchors(struct reader *r)
{
    for (size_t i = 0; i < r->n_anchors; i++) {
        free(r->anchors[i].name);
        json_decref(r->anchors[i].value);
    }
    free(r->anchors);
}

int yaml_parse_document(const struct yaml_doc *doc, const char *name,
                        const struct yaml_limits *limits, json_t **out,
                        struct yaml_positions *positions, struct err *err)
{
    struct reader r = {.name = name,
                       .doc = doc,
                       .depth_left = limits->depth,
                       .nodes_left = limits->nodes,
                       .positions = positions,
                       .err = err};

    if (doc->empty) /* a lone "..." is an error to libyaml */
        return 0;
    if (!yaml_parser_initialize(&r.parser))
        return err_set(err, ERR_SYSTEM, "cannot start the YAML parser: out of memory");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)doc->text, doc->len);
    int rc = read_document(&r, out);
    release_anchors(&r);
    yaml_parser_delete(&r.parser);
    return rc;
}
