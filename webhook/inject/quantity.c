/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/inject/quantity.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/xalloc.h"

/* apimachinery's resource.Quantity: suffixes largest first, in thousandths. */
static const struct suffix {
    const char *text;
    int64_t milli;
    bool binary;
} suffixes[] = {
    {"Ti", 1000LL << 40, true}, {"Gi", 1000LL << 30, true},       {"Mi", 1000LL << 20, true},
    {"Ki", 1000LL << 10, true}, {"T", 1000000000000000LL, false}, {"G", 1000000000000LL, false},
    {"M", 1000000000LL, false}, {"k", 1000000LL, false},          {"", 1000LL, false},
    {"m", 1LL, false},
};

#define SUFFIXES (sizeof suffixes / sizeof *suffixes)
#define DIGITS_MAX 15

static int parse(const char *text, int64_t *milli, const struct suffix **suffix, struct err *err)
{
    int64_t digits = 0;
    int64_t scale = 1;
    int count = 0;
    bool point = false;
    const char *at = text;

    for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        if (++count > DIGITS_MAX)
            return err_set(err, ERR_INPUT, "'%.40s' has too many digits", text);
        digits = digits * 10 + (*at - '0');
        if (point)
            scale *= 10;
    }
    for (size_t i = 0; count && i < SUFFIXES; i++) {
        if (strcmp(at, suffixes[i].text))
            continue;
        __int128 exact = (__int128)digits * suffixes[i].milli;
        if (exact / scale > INT64_MAX)
            return err_set(err, ERR_INPUT, "'%.40s' is too large", text);
        /* like Kubernetes, what is finer than a thousandth is rounded up */
        *milli = (int64_t)((exact + scale - 1) / scale);
        *suffix = &suffixes[i];
        return 0;
    }
    return err_set(err, ERR_INPUT, "'%.40s' is not a quantity such as 500m, 2 or 128Mi", text);
}

int quantity_parse(const char *text, int64_t *milli, struct err *err)
{
    const struct suffix *suffix;

    return parse(text, milli, &suffix, err);
}

int quantity_canonical(const char *text, char **out, struct err *err)
{
    const struct suffix *suffix;
    int64_t milli;

    if (parse(text, &milli, &suffix, err))
        return -1;
    for (size_t i = 0; i < SUFFIXES; i++) {
        const struct suffix *s = &suffixes[i];
        bool same_family = s->binary == suffix->binary || s->milli == 1000 || s->milli == 1;
        if (!same_family || milli % s->milli || (milli == 0 && s->milli != 1000))
            continue;
        *out = xasprintf("%lld%s", (long long)(milli / s->milli), s->text);
        return 0;
    }
    return err_set(err, ERR_INPUT, "'%.40s' is not a quantity", text);
}
