/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_YAML_H
#define MODELBERTH_YAML_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/strbuf.h"

/*
 * YAML as Kubernetes reads it, turned into the JSON tree that everything else works on, and
 * back. Plain scalars follow YAML 1.1 as in sigs.k8s.io/yaml (yes/no/on/off are booleans, 0x10,
 * 0o17 and 017 are numbers, dates are strings), keys become strings, aliases and merge
 * keys are expanded, duplicate keys are refused.
 *
 *     struct yaml_stream stream = YAML_STREAM(text, len);
 *     struct yaml_doc doc;
 *     while (yaml_next(&stream, &doc)) {
 *         json_auto_t *value = NULL;
 *         if (yaml_parse_document(&doc, name, &limits, &value, NULL, err) < 0) ...
 *     }
 */
struct yaml_stream {
    const char *text;
    size_t len;
    size_t line; /* lines before `text` */
};

/* clang-format off */
#define YAML_STREAM(text_, len_) {.text = (text_), .len = (len_)}
/* clang-format on */

/*
 * One document: its bytes within the stream, with the markers around it. The
 * documents of a stream, put together, are the stream.
 */
struct yaml_doc {
    const char *text; /* borrowed */
    size_t len;       /* bytes */
    size_t line;      /* lines of the stream before it */
    bool marked;      /* it starts with a "---" line */
    bool terminated;  /* it ends with a "..." line */
    bool empty;       /* comments only */
};

/*
 * Returns true and the next document, or false at the end. No scalar can hold a line that begins
 * with a marker, so this looks at nothing but line starts.
 */
bool yaml_next(struct yaml_stream *stream, struct yaml_doc *out);

struct yaml_limits {
    size_t depth; /* levels of nesting */
    size_t nodes; /* values, counted again wherever an alias repeats them */
};

/* Where members stand in the text, for messages. Zero-initialised is empty. */
struct yaml_positions {
    struct yaml_position {
        json_t *object; /* a reference, so that no other object takes its address */
        char *key;
        size_t line; /* from 1 */
        size_t column;
    } * v;
    size_t n;
};

#define yaml_positions_auto __attribute__((cleanup(yaml_positions_release)))

void yaml_positions_add(struct yaml_positions *positions, json_t *object, const char *key,
                        size_t line, size_t column);

/* The place of object[key]; NULL when it is not known. */
const struct yaml_position *yaml_position(const struct yaml_positions *positions,
                                          const json_t *object, const char *key);
void yaml_positions_release(struct yaml_positions *positions);

/*
 * Parses one document. `name` stands for the file in messages, which begin
 * "<name>:<line>:<column>: ".
 *
 * out        a new reference
 * positions  gets the places of all members; may be NULL
 *
 * Returns 1, 0 when the document is empty (comments only), or -1 with ERR_INPUT.
 */
int yaml_parse_document(const struct yaml_doc *doc, const char *name,
                        const struct yaml_limits *limits, json_t **out,
                        struct yaml_positions *positions, struct err *err);

/*
 * Appends `value` in block style: two spaces a level, lists not indented below
 * their key, members in their order, strings quoted wherever they would be
 * read as something else, text of several lines as literal blocks.
 */
void yaml_write(struct strbuf *out, const json_t *value);

/* Appends `value` in the place of `doc`, with the same markers around it. */
void yaml_write_document(struct strbuf *out, const struct yaml_doc *doc, const json_t *value);

#endif
