/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "webhook/yaml/yaml.h"
#include "webhook/yaml/yaml_scalar.h"

#define INDENT 2
#define SIMPLE_KEY_MAX_BYTES 120 /* YAML wants "? " before keys of more than 1,024 characters */

static void write_mapping(struct strbuf *out, const json_t *object, size_t indent, bool inlined);
static void write_sequence(struct strbuf *out, const json_t *list, size_t indent, bool inlined);

static void pad(struct strbuf *out, size_t columns)
{
    strbuf_addf(out, "%*s", (int)columns, "");
}

/* The character at *p, which moves behind it. The text is valid UTF-8. */
static unsigned next_character(const char **p)
{
    const unsigned char *s = (const unsigned char *)*p;
    int more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
    unsigned c = more ? s[0] & (0x3fU >> more) : s[0];

    for (int i = 1; i <= more && s[i]; i++)
        c = c << 6 | (s[i] & 0x3f);
    *p += 1 + more;
    return c;
}

/* Can stand as it is outside double quotes; line breaks and tabs apart. */
static bool is_printable(unsigned c)
{
    return (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c < 0x2028) || (c > 0x2029 && c < 0xd800) ||
           (c >= 0xe000 && c < 0xfeff) || (c > 0xfeff && c < 0xfffe) ||
           (c >= 0x10000 && c < 0x110000);
}

static bool all_printable(const char *text, const char *also)
{
    while (*text) {
        unsigned c = next_character(&text);
        if (!is_printable(c) && !(c < 0x80 && strchr(also, (int)c)))
            return false;
    }
    return true;
}

/* Dates, 1:30 and the like: text here, but something else to other readers of YAML. */
static bool resembles_number(const char *text)
{
    return strpbrk(text, "0123456789") && strchr("0123456789+-.", *text) &&
           strspn(text, "0123456789abcdefABCDEFxXoOtTzZ:._+- ") == strlen(text);
}

static bool can_be_plain(const char *text)
{
    size_t len = strlen(text);
    struct yaml_scalar scalar;

    yaml_resolve(text, &scalar);
    if (scalar.type != YAML_STRING || resembles_number(text) || !strcmp(text, "=") ||
        !strcmp(text, "<<"))
        return false;
    if (strchr(",[]{}#&*!|>'\"%@` ", *text) || text[len - 1] == ' ' || text[len - 1] == ':')
        return false;
    if (strchr("-?:", *text) && (!text[1] || text[1] == ' '))
        return false;
    if (!strncmp(text, "---", 3) || !strncmp(text, "...", 3))
        return false;
    return !strstr(text, ": ") && !strstr(text, " #") && all_printable(text, "");
}

static void write_double_quoted(struct strbuf *out, const char *text)
{
    strbuf_adds(out, "\"");
    while (*text) {
        const char *start = text;
        unsigned c = next_character(&text);
        if (c == '"' || c == '\\')
            strbuf_addf(out, "\\%c", (int)c);
        else if (c == '\n')
            strbuf_adds(out, "\\n");
        else if (c == '\t')
            strbuf_adds(out, "\\t");
        else if (is_printable(c))
            strbuf_add(out, start, (size_t)(text - start));
        else
            strbuf_addf(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
    }
    strbuf_adds(out, "\"");
}

static void write_single_quoted(struct strbuf *out, const char *text)
{
    strbuf_adds(out, "'");
    for (; *text; text++)
        strbuf_add(out, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    strbuf_adds(out, "'");
}

static void write_flow_string(struct strbuf *out, const char *text)
{
    if (can_be_plain(text))
        strbuf_adds(out, text);
    else if (all_printable(text, ""))
        write_single_quoted(out, text);
    else
        write_double_quoted(out, text);
}

/* `indent` is that of the lines. */
static void write_literal(struct strbuf *out, const char *text, size_t indent)
{
    size_t len = strlen(text);

    strbuf_adds(out, "|");
    /* readers take the indent from the first line with text, unless they are told */
    if (*text == ' ' || *text == '\n' || *text == '\t')
        strbuf_addf(out, "%d", INDENT);
    if (text[len - 1] != '\n')
        strbuf_adds(out, "-");
    else if (len > 1 && text[len - 2] == '\n')
        strbuf_adds(out, "+");
    strbuf_adds(out, "\n");
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (n)
            pad(out, indent);
        strbuf_add(out, text, n);
        text += n;
        text += *text == '\n';
        if (*text)
            strbuf_adds(out, "\n");
    }
}

static void write_string(struct strbuf *out, const char *text, size_t indent)
{
    if (indent && strchr(text, '\n') && strspn(text, "\n ") < strlen(text) &&
        all_printable(text, "\n\t"))
        write_literal(out, text, indent);
    else
        write_flow_string(out, text);
}

/* The shortest text that is read back as the same number. */
static void write_real(struct strbuf *out, const json_t *value)
{
    for (size_t digits = 15; digits <= 17; digits++) {
        autofree char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        if (digits < 17 && strtod(text, NULL) != json_real_value(value))
            continue;
        strbuf_adds(out, text);
        return;
    }
}

/* What fits on the line of its key or dash. `indent` is that of further lines. */
static void write_scalar(struct strbuf *out, const json_t *value, size_t indent)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        strbuf_adds(out, "{}");
        break;
    case JSON_ARRAY:
        strbuf_adds(out, "[]");
        break;
    case JSON_STRING:
        write_string(out, json_string_value(value), indent);
        break;
    case JSON_INTEGER:
        strbuf_addf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(out, value);
        break;
    case JSON_TRUE:
        strbuf_adds(out, "true");
        break;
    case JSON_FALSE:
        strbuf_adds(out, "false");
        break;
    default:
        strbuf_adds(out, "null");
    }
}

static void write_key(struct strbuf *out, const char *key, size_t indent)
{
    bool complex = strlen(key) > SIMPLE_KEY_MAX_BYTES;

    if (complex)
        strbuf_adds(out, "? ");
    write_flow_string(out, key);
    if (complex) {
        strbuf_adds(out, "\n");
        pad(out, indent);
    }
    strbuf_adds(out, ":");
}

/* `inlined`: the first line is begun already. */
static void write_mapping(struct strbuf *out, const json_t *object, size_t indent, bool inlined)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value) {
        if (!inlined)
            pad(out, indent);
        inlined = false;
        write_key(out, key, indent);
        if (json_object_size(value)) {
            strbuf_adds(out, "\n");
            write_mapping(out, value, indent + INDENT, false);
        } else if (json_array_size(value)) {
            strbuf_adds(out, "\n");
            write_sequence(out, value, indent, false);
        } else {
            strbuf_adds(out, " ");
            write_scalar(out, value, indent + INDENT);
            strbuf_adds(out, "\n");
        }
    }
}

static void write_sequence(struct strbuf *out, const json_t *list, size_t indent, bool inlined)
{
    size_t i;
    json_t *value;

    json_array_foreach(list, i, value) {
        if (!inlined)
            pad(out, indent);
        inlined = false;
        strbuf_adds(out, "- ");
        if (json_object_size(value)) {
            write_mapping(out, value, indent + INDENT, true);
        } else if (json_array_size(value)) {
            write_sequence(out, value, indent + INDENT, true);
        } else {
            write_scalar(out, value, indent + INDENT);
            strbuf_adds(out, "\n");
        }
    }
}

void yaml_write(struct strbuf *out, const json_t *value)
{
    if (json_object_size(value)) {
        write_mapping(out, value, 0, false);
    } else if (json_array_size(value)) {
        write_sequence(out, value, 0, false);
    } else {
        write_scalar(out, value, 0);
        strbuf_adds(out, "\n");
    }
}

void yaml_write_document(struct strbuf *out, const struct yaml_doc *doc, const json_t *value)
{
    if (doc->marked)
        strbuf_adds(out, "---\n");
    yaml_write(out, value);
    if (doc->terminated)
        strbuf_adds(out, "...\n");
}
