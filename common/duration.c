/* SPDX-License-Identifier: Apache-2.0 */
#include "duration.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define DIGITS_MAX 9 /* 31 years in seconds, and no overflow in hours */

int duration_parse(const char *text, int64_t *seconds, struct err *err)
{
    int64_t total = 0;
    const char *at = text;
    bool ok = *text != '\0';

    while (ok && *at) {
        int64_t n = 0;
        size_t digits = 0;
        for (; isdigit((unsigned char)*at) && digits <= DIGITS_MAX; at++, digits++)
            n = n * 10 + (*at - '0');
        bool plain_seconds = !*at && !total;
        ok = digits && digits <= DIGITS_MAX && (plain_seconds || (*at && strchr("hms", *at)));
        total += n * (*at == 'h' ? 3600 : *at == 'm' ? 60 : 1);
        if (*at)
            at++;
    }
    if (!ok || !total)
        return err_set(err, ERR_INPUT, "'%.40s' is not a duration such as 90s, 15m or 1h30m", text);
    *seconds = total;
    return 0;
}
