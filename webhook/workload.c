/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/workload.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define TEMPLATE "/spec/template"
#define CRON_TEMPLATE "/spec/jobTemplate/spec/template"

static const struct row {
    struct workload workload;
    const char *metadata_path;
    const char *spec_path;
} rows[] = {
    {{"", "Pod", ""}, "/metadata", "/spec"},
    {{"apps", "Deployment", TEMPLATE}, TEMPLATE "/metadata", TEMPLATE "/spec"},
    {{"apps", "StatefulSet", TEMPLATE}, TEMPLATE "/metadata", TEMPLATE "/spec"},
    {{"apps", "DaemonSet", TEMPLATE}, TEMPLATE "/metadata", TEMPLATE "/spec"},
    {{"apps", "ReplicaSet", TEMPLATE}, TEMPLATE "/metadata", TEMPLATE "/spec"},
    {{"batch", "Job", TEMPLATE}, TEMPLATE "/metadata", TEMPLATE "/spec"},
    {{"batch", "CronJob", CRON_TEMPLATE}, CRON_TEMPLATE "/metadata", CRON_TEMPLATE "/spec"},
};

const struct workload *workload_of(const json_t *object)
{
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const char *version = json_string_value(json_object_get(object, "apiVersion"));

    if (!kind || !version)
        return NULL;
    const char *slash = strchr(version, '/');
    size_t group_len = slash ? (size_t)(slash - version) : 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct workload *w = &rows[i].workload;
        if (!strcmp(w->kind, kind) && strlen(w->group) == group_len &&
            !strncmp(w->group, version, group_len))
            return w;
    }
    return NULL;
}

static json_t *descend(json_t *object, const char *pointer)
{
    autofree char *copy = xstrdup(pointer);
    char *rest = NULL;

    for (char *token = strtok_r(copy, "/", &rest); token; token = strtok_r(NULL, "/", &rest))
        object = json_object_get(object, token);
    return object;
}

int workload_pod(const struct workload *workload, json_t *object, struct pod *out, struct err *err)
{
    const struct row *row = (const struct row *)workload; /* its first member */
    json_t *template = descend(object, workload->template);
    json_t *metadata = json_object_get(template, "metadata");

    if (!json_is_object(json_object_get(template, "spec")))
        return err_set(err, ERR_INPUT, "%s/spec is not an object", workload->template);
    if (metadata && !json_is_null(metadata) && !json_is_object(metadata))
        return err_set(err, ERR_INPUT, "%s is not an object", row->metadata_path);
    *out = (struct pod){.metadata = metadata,
                        .spec = json_object_get(template, "spec"),
                        .metadata_path = row->metadata_path,
                        .spec_path = row->spec_path};
    return 0;
}
