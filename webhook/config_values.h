/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_CONFIG_VALUES_H
#define MODELBERTH_CONFIG_VALUES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* One key of the config file. The table of them is in config.c. */
struct config_key;

/*
 * Checks a value and stores it in `member`, whose type goes with the function. The message of a
 * failure is about the value alone: the caller puts file, line and key in front.
 */
typedef int config_value_fn(const struct config_key *key, void *member, const json_t *value,
                            struct err *err);

struct config_key {
    const char *path; /* "init.image" */
    config_value_fn *set;
    size_t offset;     /* of the member in struct config */
    const char *value; /* the default, as YAML */
    int64_t min;       /* of integers */
    int64_t max;
    const char *help; /* lines for the example; NULL where the key before says it all */
};

config_value_fn config_value_text, config_value_listen, config_value_image,
    config_value_pull_policy, config_value_quantity; /* char * */
config_value_fn config_value_integer;                /* int64_t */
config_value_fn config_value_duration;               /* int64_t, seconds */
config_value_fn config_value_env;                    /* json_t *, NULL when empty */

#endif
