/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/inject/pod.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "webhook/inject/patch.h"

/* OME, KServe (predictor, multi-node worker, transformer), Dynamo and llm-d. */
static const char *const serving_names[] = {
    "ome-container", "kserve-container", "worker-container", "transformer-container", "main",
};

static const char *const proxies[] = {"istio-proxy", "linkerd-proxy"};

bool pod_is_proxy(const char *container_name)
{
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
        if (!strcmp(proxies[i], container_name))
            return true;
    return false;
}

static bool is_serving_name(const char *name)
{
    for (size_t i = 0; i < sizeof serving_names / sizeof *serving_names; i++)
        if (!strcmp(serving_names[i], name))
            return true;
    return false;
}

static int add_containers(const struct pod *pod, const char *key, struct containers *out,
                          struct err *err)
{
    const json_t *list = json_object_get(pod->spec, key);
    autofree char *path = pointer_key(pod->spec_path, key);
    size_t i;
    json_t *item;

    if (list && !json_is_null(list) && !json_is_array(list))
        return err_set(err, ERR_INPUT, "%s is not a list", path);
    json_array_foreach(list, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (!name)
            return err_set(err, ERR_INPUT, "%s/%zu has no name", path, i);
        if (!strcmp(name, INIT_CONTAINER_NAME))
            continue;
        out->v = xreallocarray(out->v, out->n + 1, sizeof *out->v);
        out->v[out->n++] =
            (struct container){.json = item, .path = pointer_index(path, i), .name = name};
    }
    return 0;
}

static int mark_wanted(const struct strlist *wanted, struct containers *list, struct err *err)
{
    strbuf_auto struct strbuf names = STRBUF_INIT(512);

    for (size_t w = 0; w < wanted->n; w++) {
        bool found = false;
        for (size_t i = 0; i < list->n_app; i++)
            if (!strcmp(list->v[i].name, wanted->v[w]))
                list->v[i].is_target = found = true;
        if (found)
            continue;
        for (size_t i = 0; i < list->n_app; i++)
            strbuf_addf(&names, "%s%s", i ? ", " : "", list->v[i].name);
        return err_set(
            err, ERR_DENIED,
            "annotation modelberth.io/containers: \"%.200s\" is no container of this pod; "
            "it has: %s",
            wanted->v[w], strbuf_text(&names));
    }
    return 0;
}

static void mark_known(bool everyone, struct containers *list)
{
    bool any = false;

    for (size_t i = 0; i < list->n_app && !everyone; i++)
        if (is_serving_name(list->v[i].name))
            list->v[i].is_target = any = true;
    for (size_t i = 0; i < list->n_app && !any; i++)
        list->v[i].is_target = everyone || !pod_is_proxy(list->v[i].name);
}

int pod_containers(const struct pod *pod, const struct strlist *wanted, struct containers *out,
                   struct err *err)
{
    containers_auto struct containers list = {0};

    if (add_containers(pod, "containers", &list, err))
        return -1;
    list.n_app = list.n;
    if (!list.n_app)
        return err_set(err, ERR_INPUT, "%s/containers is empty", pod->spec_path);
    if (add_containers(pod, "initContainers", &list, err))
        return -1;
    bool everyone = strlist_has(wanted, "*");
    if (!wanted->n || everyone)
        mark_known(everyone, &list);
    else if (mark_wanted(wanted, &list, err))
        return -1;
    *out = list;
    memset(&list, 0, sizeof list);
    return 0;
}

void containers_release(struct containers *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i].path);
    free(list->v);
    memset(list, 0, sizeof *list);
}

const struct container *containers_serving(const struct containers *list)
{
    for (size_t i = 0; i < list->n_app; i++)
        if (list->v[i].is_target)
            return &list->v[i];
    return &list->v[0];
}

static const char *metadata_text(const struct pod *pod, const char *map, const char *key)
{
    return json_string_value(json_object_get(json_object_get(pod->metadata, map), key));
}

const char *pod_annotation(const struct pod *pod, const char *key)
{
    return metadata_text(pod, "annotations", key);
}

const char *pod_label(const struct pod *pod, const char *key)
{
    return metadata_text(pod, "labels", key);
}

json_t *named_element(const json_t *list, const char *name, size_t *index)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item) {
        const char *its = json_string_value(json_object_get(item, "name"));
        if (!its || strcmp(its, name) != 0)
            continue;
        if (index)
            *index = i;
        return item;
    }
    return NULL;
}

json_t *pod_volume(const struct pod *pod, const char *name)
{
    return named_element(json_object_get(pod->spec, "volumes"), name, NULL);
}

bool same_path(const char *a, const char *b)
{
    size_t n = strlen(a);
    size_t m = strlen(b);

    while (n > 1 && a[n - 1] == '/')
        n--;
    while (m > 1 && b[m - 1] == '/')
        m--;
    return n == m && !memcmp(a, b, n);
}
