/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "webhook/yaml.h"

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

bool yaml_next(struct yaml_stream *stream, struct yaml_doc *out)
{
    struct yaml_doc doc = {.text = stream->text, .line = stream->line};
    bool begun = false;     /* content or its marker was seen */
    bool directive = false; /* "%..." was seen: the marker that follows belongs to it */

    if (!stream->len)
        return false;
    while (doc.len < stream->len && !doc.terminated) {
        const char *line = stream->text + doc.len;
        size_t full = line_length(line, stream->len - doc.len);
        size_t len = full;

        if (!doc.len && len >= 3 && !memcmp(line, BOM, 3)) {
            line += 3;
            len -= 3;
        }
        if (is_marker(line, len, "---")) {
            if (doc.len && (begun || !directive))
                break;
            doc.marked = begun = true;
        } else if (is_marker(line, len, "...")) {
            doc.terminated = true;
        } else if (!begun && len && *line == '%') {
            directive = true;
        } else if (!is_blank(line, len)) {
            begun = true;
        }
        doc.len += full;
        stream->line++;
    }
    doc.empty = !begun && !directive;
    stream->text += doc.len;
    stream->len -= doc.len;
    *out = doc;
    return true;
}
