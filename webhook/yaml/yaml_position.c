/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "webhook/yaml/yaml.h"

void yaml_positions_add(struct yaml_positions *positions, json_t *object, const char *key,
                        size_t line, size_t column)
{
    positions->v = xreallocarray(positions->v, positions->n + 1, sizeof *positions->v);
    positions->v[positions->n++] = (struct yaml_position){
        .object = json_incref(object), .key = xstrdup(key), .line = line, .column = column};
}

const struct yaml_position *yaml_position(const struct yaml_positions *positions,
                                          const json_t *object, const char *key)
{
    for (size_t i = 0; i < positions->n; i++)
        if (positions->v[i].object == object && !strcmp(positions->v[i].key, key))
            return &positions->v[i];
    return NULL;
}

void yaml_positions_release(struct yaml_positions *positions)
{
    for (size_t i = 0; i < positions->n; i++) {
        json_decref(positions->v[i].object);
        free(positions->v[i].key);
    }
    free(positions->v);
    positions->v = NULL;
    positions->n = 0;
}
