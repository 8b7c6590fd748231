/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_TEST_H
#define MODELBERTH_TEST_H

/* cmocka's header needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "common/err.h"

/* Fails when `text` lacks `part`, and shows both. */
#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("'%s' lacks '%s'", (text), (part));                                           \
    } while (0)

/* Fails with the error's message when a call that returns 0 or -1 failed. */
#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        if (call)                                                                                  \
            fail_msg("%s: %s", #call, (err).msg);                                                  \
    } while (0)

/* JSON as a C program can write it: single quotes stand for double ones. */
static inline json_t *json_of(const char *text)
{
    char buffer[8192];
    size_t n = strlen(text);

    assert_true(n < sizeof buffer);
    for (size_t i = 0; i <= n; i++)
        buffer[i] = text[i] == '\'' ? '"' : text[i];
    json_t *value = json_loads(buffer, JSON_DECODE_ANY, NULL);
    if (!value)
        fail_msg("not JSON: %s", buffer);
    return value;
}

#endif
