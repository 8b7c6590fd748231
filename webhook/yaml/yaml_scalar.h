/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_YAML_SCALAR_H
#define MODELBERTH_YAML_SCALAR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What a plain scalar means, as sigs.k8s.io/yaml decides it (YAML 1.1 without dates). */
enum yaml_type { YAML_STRING, YAML_NULL, YAML_BOOL, YAML_INT, YAML_FLOAT };

struct yaml_scalar {
    enum yaml_type type;
    bool boolean;       /* YAML_BOOL */
    json_int_t integer; /* YAML_INT */
    double real;        /* YAML_FLOAT; may be infinite or not a number */
};

/*
 * The value of a scalar of `len` bytes, 0-terminated.
 *
 * tag      without "tag:yaml.org,2002:"; "" for none
 * quoted   it was not plain: text, unless the tag says otherwise
 * problem  what is wrong with it, a constant; set on failure
 *
 * Returns a new reference or NULL.
 */
json_t *yaml_scalar_value(const char *text, size_t len, const char *tag, bool quoted,
                          const char **problem);

/* `text` is 0-terminated and holds no NUL before. */
void yaml_resolve(const char *text, struct yaml_scalar *out);

#endif
