/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "webhook/yaml/yaml.h"

#define BOM "\xef\xbb\xbf"

static size_t line_length(const char *text, size_t len)
{
    const char *end = memchr(text, '\n', len);

    return end ? (size_t)(end - text) + 1 : len;
}

static bool is_marker(const char *line, size_t len, const char *marker)
{
    return len >= 3 && !memcmp(line, marker, 3) && (len == 3 || strchr(" \t\r\n", line[3]));
}

/* Blank, or a comment: nothing that begins a document. */
static bool is_blank(const char *line, size_t len)
{
    size_t i = 0;

    while (i < len && strchr(" \t\r\n", line[i]))
        i++;
    return i == len || line[i] == '#';
}

/* What a line means to the document that it may belong to. */
enum line { LINE_BLANK, LINE_DIRECTIVE, LINE_CONTENT, LINE_START, LINE_END };

static enum line classify(const char *line, size_t len, bool first)
{
    if (first && len >= 3 && !memcmp(line, BOM, 3)) {
        line += 3;
        len -= 3;
    }
    if (is_marker(line, len, "---"))
        return LINE_START;
    if (is_marker(line, len, "..."))
        return LINE_END;
    if (len && *line == '%')
        return LINE_DIRECTIVE;
    return is_blank(line, len) ? LINE_BLANK : LINE_CONTENT;
}

bool yaml_next(struct yaml_stream *stream, struct yaml_doc *out)
{
    struct yaml_doc doc = {.text = stream->text, .line = stream->line};
    bool begun = false;     /* content or its marker was seen */
    bool directive = false; /* "%..." was seen before: the marker that follows belongs to it */

    if (!stream->len)
        return false;
    while (doc.len < stream->len && !doc.terminated) {
        const char *line = stream->text + doc.len;
        size_t len = line_length(line, stream->len - doc.len);
        enum line kind = classify(line, len, !doc.len);

        if (kind == LINE_START && doc.len && (begun || !directive))
            break;
        directive |= kind == LINE_DIRECTIVE && !begun;
        begun |= kind == LINE_START || kind == LINE_CONTENT;
        doc.marked |= kind == LINE_START;
        doc.terminated = kind == LINE_END;
        doc.len += len;
        stream->line++;
    }
    doc.empty = !begun && !directive;
    stream->text += doc.len;
    stream->len -= doc.len;
    *out = doc;
    return true;
}
