/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/inject/scheduling.h"

#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/strlist.h"

#define NODE_LABEL_PREFIX "models.ome.io/"

static bool is_model_label(const char *key)
{
    return key && !strncmp(key, NODE_LABEL_PREFIX, strlen(NODE_LABEL_PREFIX));
}

static void release_selector(const struct pod *pod, struct patch *patch)
{
    json_t *selector = json_object_get(pod->spec, "nodeSelector");
    autofree char *path = pointer_key(pod->spec_path, "nodeSelector");
    struct strlist keys = {0};
    const char *key;
    json_t *value;

    json_object_foreach(selector, key, value)
        if (is_model_label(key))
            strlist_add(&keys, key);
    for (size_t i = 0; i < keys.n; i++)
        patch_remove(patch, selector, path, keys.v[i]);
    strlist_release(&keys);
}

/* Drops the model expressions of a term. True when it had some and nothing is left. */
static bool empty_term(json_t *term, const char *path, struct patch *patch)
{
    json_t *expressions = json_object_get(term, "matchExpressions");
    autofree char *at = pointer_key(path, "matchExpressions");
    bool dropped = false;

    for (size_t i = json_array_size(expressions); i-- > 0;) {
        const json_t *expression = json_array_get(expressions, i);
        if (!is_model_label(json_string_value(json_object_get(expression, "key"))))
            continue;
        patch_remove_at(patch, expressions, at, i);
        dropped = true;
    }
    return dropped && !json_array_size(expressions) &&
           !json_array_size(json_object_get(term, "matchFields"));
}

/*
 * Terms are alternatives: one that asked for the model alone now asks for
 * nothing, so any node will do and the requirement as a whole goes. (Left
 * in place an empty term would match no node at all.)
 */
static void release_required(json_t *affinity, const char *path, struct patch *patch)
{
    static const char key[] = "requiredDuringSchedulingIgnoredDuringExecution";
    autofree char *at = pointer_key(path, key);
    autofree char *terms_path = pointer_key(at, "nodeSelectorTerms");
    json_t *terms = json_object_get(json_object_get(affinity, key), "nodeSelectorTerms");
    bool any_node = false;
    size_t i;
    json_t *term;

    json_array_foreach(terms, i, term) {
        autofree char *term_path = pointer_index(terms_path, i);
        any_node |= empty_term(term, term_path, patch);
    }
    if (any_node)
        patch_remove(patch, affinity, path, key);
}

static void release_preferred(json_t *affinity, const char *path, struct patch *patch)
{
    static const char key[] = "preferredDuringSchedulingIgnoredDuringExecution";
    autofree char *at = pointer_key(path, key);
    json_t *list = json_object_get(affinity, key);

    for (size_t i = json_array_size(list); i-- > 0;) {
        autofree char *item_path = pointer_index(at, i);
        autofree char *term_path = pointer_key(item_path, "preference");
        json_t *term = json_object_get(json_array_get(list, i), "preference");
        if (empty_term(term, term_path, patch))
            patch_remove_at(patch, list, at, i);
    }
}

void scheduling_release_nodes(const struct pod *pod, struct patch *patch)
{
    json_t *node = json_object_get(json_object_get(pod->spec, "affinity"), "nodeAffinity");
    autofree char *affinity_path = pointer_key(pod->spec_path, "affinity");
    autofree char *path = pointer_key(affinity_path, "nodeAffinity");

    release_selector(pod, patch);
    if (node) {
        release_required(node, path, patch);
        release_preferred(node, path, patch);
    }
}
