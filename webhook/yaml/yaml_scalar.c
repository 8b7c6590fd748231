/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/yaml/yaml_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX_BYTES 128

static const struct word {
    const char *spellings[5];
    enum yaml_type type;
    bool boolean;
    double real;
} words[] = {
    {{"y", "Y", "yes", "Yes", "YES"}, YAML_BOOL, true, 0},
    {{"true", "True", "TRUE"}, YAML_BOOL, true, 0},
    {{"on", "On", "ON"}, YAML_BOOL, true, 0},
    {{"n", "N", "no", "No", "NO"}, YAML_BOOL, false, 0},
    {{"false", "False", "FALSE"}, YAML_BOOL, false, 0},
    {{"off", "Off", "OFF"}, YAML_BOOL, false, 0},
    {{"", "~", "null", "Null", "NULL"}, YAML_NULL, false, 0},
    {{".nan", ".NaN", ".NAN"}, YAML_FLOAT, false, NAN},
    {{".inf", ".Inf", ".INF"}, YAML_FLOAT, false, INFINITY},
    {{"+.inf", "+.Inf", "+.INF"}, YAML_FLOAT, false, INFINITY},
    {{"-.inf", "-.Inf", "-.INF"}, YAML_FLOAT, false, -INFINITY},
};

static bool resolve_word(const char *text, struct yaml_scalar *out)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (size_t j = 0; j < 5 && words[i].spellings[j]; j++)
            if (!strcmp(words[i].spellings[j], text)) {
                out->type = words[i].type;
                out->boolean = words[i].boolean;
                out->real = words[i].real;
                return true;
            }
    return false;
}

/* The base that a prefix names; moves *digits behind it. */
static int base_of(const char **digits)
{
    const char *p = *digits;

    if (p[0] != '0' || !p[1])
        return 10;
    switch (p[1]) {
    case 'x':
    case 'X':
        *digits += 2;
        return 16;
    case 'o':
    case 'O':
        *digits += 2;
        return 8;
    case 'b':
    case 'B':
        *digits += 2;
        return 2;
    default:
        *digits += 1;
        return 8;
    }
}

static bool resolve_int(const char *text, struct yaml_scalar *out)
{
    bool negative = *text == '-';
    const char *digits = text + (*text == '-' || *text == '+');
    char *end;

    int base = base_of(&digits);
    if (!isxdigit((unsigned char)*digits)) /* strtoull would take a sign or blanks here */
        return false;
    errno = 0;
    unsigned long long n = strtoull(digits, &end, base);
    if (*end)
        return false;
    if (errno == ERANGE || n > (unsigned long long)INT64_MAX + negative) {
        /* more than an integer holds here: the nearest number */
        double magnitude = errno == ERANGE ? strtod(digits, NULL) : (double)n;
        out->type = YAML_FLOAT;
        out->real = negative ? -magnitude : magnitude;
        return base == 10 || !errno;
    }
    out->type = YAML_INT;
    out->integer = negative ? (json_int_t)(0ULL - n) : (json_int_t)n;
    return true;
}

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* [-+]? ( .d+ | d+ (.d*)? ) ([eE][-+]?d+)? : less than strtod takes, which also knows hex and words
 */
static bool looks_real(const char *text)
{
    const char *p = text + (*text == '-' || *text == '+');
    const char *start = p;

    p = skip_digits(p);
    if (p > start) {
        if (*p == '.')
            p = skip_digits(p + 1);
    } else {
        if (*p != '.' || skip_digits(p + 1) == p + 1)
            return false;
        p = skip_digits(p + 1);
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        start = p;
        p = skip_digits(p);
        if (p == start)
            return false;
    }
    return !*p;
}

static bool resolve_real(const char *text, struct yaml_scalar *out)
{
    if (!looks_real(text))
        return false;
    double value = strtod(text, NULL);
    if (isinf(value))
        return false;
    /* Kubernetes writes 1.0 as 1 when it turns YAML into JSON */
    if (value == floor(value) && fabs(value) < 9e15) {
        out->type = YAML_INT;
        out->integer = (json_int_t)value;
        return true;
    }
    out->type = YAML_FLOAT;
    out->real = value;
    return true;
}

/* The text without its underscores; false when it is too long for a number. */
static bool strip_underscores(const char *text, char out[static NUMBER_MAX_BYTES])
{
    size_t n = 0;

    for (; *text; text++) {
        if (*text == '_')
            continue;
        if (n == NUMBER_MAX_BYTES - 1)
            return false;
        out[n++] = *text;
    }
    out[n] = '\0';
    return true;
}

void yaml_resolve(const char *text, struct yaml_scalar *out)
{
    char plain[NUMBER_MAX_BYTES];

    out->type = YAML_STRING;
    if (resolve_word(text, out))
        return;
    if (*text == '.') {
        (void)resolve_real(text, out);
        return;
    }
    if (!isdigit((unsigned char)*text) && *text != '-' && *text != '+')
        return;
    if (strip_underscores(text, plain) && !resolve_int(plain, out)) {
        out->type = YAML_STRING;
        (void)resolve_real(plain, out);
    }
}

static bool tag_fits(const char *tag, const struct yaml_scalar *scalar)
{
    switch (scalar->type) {
    case YAML_NULL:
        return !strcmp(tag, "null");
    case YAML_BOOL:
        return !strcmp(tag, "bool");
    case YAML_INT:
        return !strcmp(tag, "int") || !strcmp(tag, "float");
    case YAML_FLOAT:
        return !strcmp(tag, "float");
    default:
        return false;
    }
}

json_t *yaml_scalar_value(const char *text, size_t len, const char *tag, bool quoted,
                          const char **problem)
{
    struct yaml_scalar scalar = {.type = YAML_STRING};
    bool is_text =
        (!*tag && quoted) || !strcmp(tag, "str") || !strcmp(tag, "!") || !strcmp(tag, "timestamp");

    if (strlen(text) != len) {
        *problem = "text must not hold a NUL character";
        return NULL;
    }
    if (!is_text)
        yaml_resolve(text, &scalar);
    if (!is_text && *tag && !tag_fits(tag, &scalar)) {
        *problem = "the tag does not fit this value, or is not supported";
        return NULL;
    }
    switch (scalar.type) {
    case YAML_NULL:
        return json_null();
    case YAML_BOOL:
        return json_boolean(scalar.boolean);
    case YAML_INT:
        return json_integer(scalar.integer);
    case YAML_FLOAT:
        if (isfinite(scalar.real))
            return json_real(scalar.real);
        *problem = "JSON has no number for this value";
        return NULL;
    default:
        return json_string(text);
    }
}
