/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/config_values.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/duration.h"
#include "common/plan.h"
#include "common/xalloc.h"
#include "webhook/config.h"
#include "webhook/inject/quantity.h"
#include "webhook/server/listen.h"

#define TEXT_MAX_BYTES 4096
#define ENV_NAME_MAX_BYTES 256

static int get_text(const json_t *value, const char **out, struct err *err)
{
    if (!json_is_string(value))
        return err_set(err, ERR_INPUT, "text expected");
    *out = json_string_value(value);
    if (strlen(*out) > TEXT_MAX_BYTES)
        return err_set(err, ERR_INPUT, "longer than %d bytes", TEXT_MAX_BYTES);
    return 0;
}

int config_value_text(const struct config_key *key, void *member, const json_t *value,
                      struct err *err)
{
    const char *text;

    (void)key;
    if (get_text(value, &text, err))
        return -1;
    if (!*text)
        return err_set(err, ERR_INPUT, "must not be empty");
    config_set(member, text);
    return 0;
}

int config_value_listen(const struct config_key *key, void *member, const json_t *value,
                        struct err *err)
{
    struct listen_address address;
    const char *text;

    if (get_text(value, &text, err) || listen_parse(text, &address, err))
        return -1;
    return config_value_text(key, member, value, err);
}

static int check_image(const char *image, struct err *err)
{
    for (const char *p = image; *p; p++)
        if (!isgraph((unsigned char)*p))
            return err_set(err, ERR_INPUT, "'%s' is not the name of an image", image);
    return 0;
}

int config_value_image(const struct config_key *key, void *member, const json_t *value,
                       struct err *err)
{
    const char *text;

    (void)key;
    if (get_text(value, &text, err) || check_image(text, err))
        return -1;
    config_set(member, text);
    return 0;
}

int config_value_pull_policy(const struct config_key *key, void *member, const json_t *value,
                             struct err *err)
{
    const char *text;

    if (get_text(value, &text, err))
        return -1;
    if (strcmp(text, "Always") != 0 && strcmp(text, "IfNotPresent") != 0 &&
        strcmp(text, "Never") != 0)
        return err_set(err, ERR_INPUT, "'%s' is none of Always, IfNotPresent, Never", text);
    return config_value_text(key, member, value, err);
}

int config_value_integer(const struct config_key *key, void *member, const json_t *value,
                         struct err *err)
{
    if (!json_is_integer(value))
        return err_set(err, ERR_INPUT, "a whole number expected");
    int64_t n = json_integer_value(value);
    if (n < key->min || n > key->max)
        return err_set(err, ERR_INPUT, "%lld is not within %lld to %lld", (long long)n,
                       (long long)key->min, (long long)key->max);
    *(int64_t *)member = n;
    return 0;
}

/* Text, or a number as its text: `cpu: 2` and `timeout: 600` are what people write. */
static int get_number_text(const json_t *value, char **out, struct err *err)
{
    const char *text;

    if (json_is_number(value)) {
        *out = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        return 0;
    }
    if (get_text(value, &text, err))
        return -1;
    *out = xstrdup(text);
    return 0;
}

int config_value_quantity(const struct config_key *key, void *member, const json_t *value,
                          struct err *err)
{
    autofree char *text = NULL;
    char *canonical = NULL;

    (void)key;
    if (get_number_text(value, &text, err) || quantity_canonical(text, &canonical, err))
        return -1;
    free(*(char **)member);
    *(char **)member = canonical;
    return 0;
}

int config_value_duration(const struct config_key *key, void *member, const json_t *value,
                          struct err *err)
{
    autofree char *text = NULL;
    int64_t seconds;

    (void)key;
    if (get_number_text(value, &text, err) || duration_parse(text, &seconds, err))
        return -1;
    if (seconds > PLAN_MAX_TIMEOUT_S)
        return err_set(err, ERR_INPUT, "'%s' is longer than %d hours", text,
                       PLAN_MAX_TIMEOUT_S / 3600);
    *(int64_t *)member = seconds;
    return 0;
}

static int check_env(const char *name, const json_t *value, struct err *err)
{
    size_t len = strlen(name);
    bool ok = len && len <= ENV_NAME_MAX_BYTES;

    for (size_t i = 0; i < len && ok; i++)
        ok = isgraph((unsigned char)name[i]) && name[i] != '=';
    if (!ok)
        return err_set(err, ERR_INPUT, "'%.80s' is not the name of an environment variable", name);
    if (!strcmp(name, PLAN_ENV))
        return err_set(err, ERR_INPUT, "%s is what the webhook itself sets", PLAN_ENV);
    if (!json_is_string(value))
        return err_set(err, ERR_INPUT, "the value of %.80s must be text: put it in quotes", name);
    return 0;
}

int config_value_env(const struct config_key *key, void *member, const json_t *value,
                     struct err *err)
{
    const char *name;
    json_t *text;

    (void)key;
    if (!json_is_object(value))
        return err_set(err, ERR_INPUT, "a mapping of names to texts expected");
    json_object_foreach((json_t *)value, name, text)
        if (check_env(name, text, err))
            return -1;
    json_decref(*(json_t **)member);
    *(json_t **)member = json_object_size(value) ? json_deep_copy(value) : NULL;
    return 0;
}
