/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/request.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/duration.h"
#include "common/path.h"
#include "common/source_uri.h"
#include "common/xalloc.h"
#include "webhook/inject/quantity.h"

#define PREFIX "modelberth.io/"
#define OBJECT_NAME_MAX_BYTES 253 /* RFC 1123 subdomain, as Kubernetes names claims and Secrets */
#define ID_MAX 2147483647LL       /* user and group ids are 31 bits in Kubernetes */

static int set_object_name(const char *value, char **out, struct err *err)
{
    size_t n = strlen(value);
    bool ok = n > 0 && n <= OBJECT_NAME_MAX_BYTES;

    for (size_t i = 0; ok && i < n; i++) {
        unsigned char c = (unsigned char)value[i];
        bool inner = i > 0 && i + 1 < n;
        ok = islower(c) || isdigit(c) || (inner && (c == '-' || c == '.'));
    }
    if (!ok)
        return err_set(err, ERR_INPUT,
                       "an object's name is 1 to 253 lower case letters, digits, '-' and '.'");
    plan_set(out, value);
    return 0;
}

static int set_claim(struct request *r, const char *value, struct err *err)
{
    return set_object_name(value, &r->claim, err);
}

static int set_secret(struct request *r, const char *value, struct err *err)
{
    return set_object_name(value, &r->secret, err);
}

static int set_path(struct request *r, const char *value, struct err *err)
{
    plan_set(&r->path, value);
    return *value ? path_check_model_directory("the path", value, err) : 0;
}

static int set_mount(struct request *r, const char *value, struct err *err)
{
    plan_set(&r->mount, value);
    if (path_check_absolute("the path", value, err))
        return -1;
    /* the API server refuses it too, but without naming the annotation */
    if (strchr(value, ':'))
        return err_set(err, ERR_INPUT, "a mount path may not contain ':'");
    return 0;
}

static int set_source(struct request *r, const char *value, struct err *err)
{
    (void)err;
    plan_set(&r->source, value);
    return 0;
}

static int set_version(struct request *r, const char *value, struct err *err)
{
    (void)err;
    plan_set(&r->version, value);
    return 0;
}

static int set_verify(struct request *r, const char *value, struct err *err)
{
    return verify_mode_parse(value, &r->verify, err);
}

static int set_list(struct strlist *list, const char *value, const char *what, struct err *err)
{
    strlist_split(list, value);
    return list->n ? 0 : err_set(err, ERR_INPUT, "%s expected, separated by commas", what);
}

static int set_include(struct request *r, const char *value, struct err *err)
{
    return set_list(&r->include, value, "file patterns", err);
}

static int set_exclude(struct request *r, const char *value, struct err *err)
{
    return set_list(&r->exclude, value, "file patterns", err);
}

static int set_containers(struct request *r, const char *value, struct err *err)
{
    if (set_list(&r->containers, value, "container names or *", err))
        return -1;
    if (r->containers.n > 1 && strlist_has(&r->containers, "*"))
        return err_set(err, ERR_INPUT, "'*' stands alone: it means every container");
    return 0;
}

static int set_resources(struct request *r, const char *value, struct err *err)
{
    struct strlist parts = {0};
    int rc = set_list(&parts, value, "cpu=500m,memory=128Mi", err);

    for (size_t i = 0; !rc && i < parts.n; i++) {
        char **out = NULL;
        if (!strncmp(parts.v[i], "cpu=", 4))
            out = &r->cpu;
        else if (!strncmp(parts.v[i], "memory=", 7))
            out = &r->memory;
        autofree char *canonical = NULL;
        if (!out)
            rc = err_set(err, ERR_INPUT, "'%.80s' is neither cpu= nor memory=", parts.v[i]);
        else
            rc = quantity_canonical(strchr(parts.v[i], '=') + 1, &canonical, err);
        if (!rc)
            plan_set(out, canonical);
    }
    strlist_release(&parts);
    return rc;
}

static int set_id(const char *value, int64_t *out, struct err *err)
{
    char *end;

    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (errno || end == value || *end || n < 0 || n > ID_MAX || !isdigit((unsigned char)*value))
        return err_set(err, ERR_INPUT, "a number from 0 to %lld expected", ID_MAX);
    *out = n;
    return 0;
}

static int set_user(struct request *r, const char *value, struct err *err)
{
    return set_id(value, &r->run_as_user, err);
}

static int set_group(struct request *r, const char *value, struct err *err)
{
    return set_id(value, &r->fs_group, err);
}

static int set_timeout(struct request *r, const char *value, struct err *err)
{
    if (duration_parse(value, &r->timeout_s, err))
        return -1;
    if (r->timeout_s > PLAN_MAX_TIMEOUT_S)
        return err_set(err, ERR_INPUT, "at most %dh", PLAN_MAX_TIMEOUT_S / 3600);
    return 0;
}

static int set_base_model(struct request *r, const char *value, struct err *err)
{
    (void)err;
    plan_set(&r->base_model, value);
    return 0;
}

/* Read elsewhere, or written by us for people only. */
static int set_nothing(struct request *r, const char *value, struct err *err)
{
    (void)r;
    (void)value;
    (void)err;
    return 0;
}

static const struct annotation {
    const char *key;
    int (*set)(struct request *r, const char *value, struct err *err);
    const char *way_out;
} annotations_read[] = {
    {"ome.io/pvc-name", set_claim, "name the PersistentVolumeClaim that holds the model"},
    {"ome.io/pvc-subpath", set_path, "give the model's directory relative to the claim's root"},
    {"ome.io/mount-path", set_mount, "give the absolute path where the container reads the model"},
    {"ome.io/base-model-name", set_base_model, ""},
    {PREFIX "source", set_source,
     "use hf://org/name@commit, https://host/file#sha256=<hex> or "
     "pvc://claim/path"},
    {PREFIX "version", set_version, "give a commit, tag or branch, or sha256=<hex>"},
    {PREFIX "verify", set_verify, "leave it out for auto"},
    {PREFIX "secret", set_secret, "name the Secret with the source's credentials"},
    {PREFIX "include", set_include, "for example *.safetensors,*.json"},
    {PREFIX "exclude", set_exclude, "for example *.bin,original/*"},
    {PREFIX "containers", set_containers, "list the containers that read the model, or *"},
    {PREFIX "init-resources", set_resources, "for example cpu=2,memory=256Mi"},
    {PREFIX "run-as-user", set_user, "give the numeric user that may write the volume"},
    {PREFIX "fs-group", set_group, "give the numeric group that owns the volume"},
    {PREFIX "timeout", set_timeout, "for example 2h"},
    {PREFIX "inject", set_nothing, ""},
    {PREFIX "injected", set_nothing, ""},
    {PREFIX "model-ref", set_nothing, ""},
};

#define ANNOTATIONS (sizeof annotations_read / sizeof *annotations_read)

static int denied(struct err *err, const char *key, const char *value, const char *way_out)
{
    return err_set(err, ERR_DENIED, "annotation %s: \"%.200s\" is not valid: %s; %s", key, value,
                   err->msg, way_out);
}

static const char *text_of(const json_t *annotations, const char *key)
{
    return json_string_value(json_object_get(annotations, key));
}

/* A misspelt modelberth.io/source would start a model that nobody pinned. */
static int check_known(const json_t *annotations, struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)annotations, key, value) {
        bool known = strncmp(key, PREFIX, strlen(PREFIX)) != 0;
        for (size_t i = 0; !known && i < ANNOTATIONS; i++)
            known = !strcmp(annotations_read[i].key, key);
        if (!known)
            return err_set(
                err, ERR_DENIED,
                "annotation %.200s is not known: modelberth.io/ has source, version, verify, "
                "secret, include, exclude, containers, init-resources, run-as-user, fs-group, "
                "timeout, inject and model-ref; correct or remove it",
                key);
    }
    return 0;
}

static int read_values(const json_t *annotations, struct request *r, struct err *err)
{
    for (size_t i = 0; i < ANNOTATIONS; i++) {
        const struct annotation *a = &annotations_read[i];
        const json_t *value = json_object_get(annotations, a->key);
        if (!value)
            continue;
        if (!json_is_string(value))
            return err_set(err, ERR_DENIED,
                           "annotation %s is not a string: put its value in quotes", a->key);
        if (a->set(r, json_string_value(value), err))
            return denied(err, a->key, json_string_value(value), a->way_out);
    }
    return 0;
}

static int check_together(struct request *r, struct err *err)
{
    source_uri_auto struct source_uri source = {0};

    if (!*r->claim)
        return err_set(
            err, ERR_DENIED,
            "annotation ome.io/pvc-name is missing: ome.io/storage-type is \"pvc\", so add "
            "ome.io/pvc-name with the PersistentVolumeClaim (in the pod's namespace) that "
            "holds the model");
    if (*r->source && source_uri_parse(r->source, r->version, &source, err))
        return denied(
            err, PREFIX "source", r->source,
            "use hf://org/name@commit, https://host/file#sha256=<hex> or pvc://claim/path");
    if (!*r->source && *r->version)
        return err_set(err, ERR_DENIED,
                       "annotation modelberth.io/version: \"%.200s\" has no effect without "
                       "modelberth.io/source; add the source or remove the version",
                       r->version);
    return 0;
}

/* Whether a model is asked for: 1, 0, or -1 denied. */
static int is_triggered(const json_t *annotations, struct strlist *warnings, struct err *err)
{
    static const char *const model_refs[] = {"modelRef", PREFIX "model-ref"};
    const char *inject = text_of(annotations, PREFIX "inject");

    if (inject && !strcmp(inject, "false"))
        return 0;
    if (inject && strcmp(inject, "true") != 0)
        return err_set(
            err, ERR_DENIED,
            "annotation modelberth.io/inject: \"%.200s\" is not valid: \"false\" leaves the "
            "object alone, \"true\" is the default",
            inject);
    for (size_t i = 0; i < sizeof model_refs / sizeof *model_refs; i++)
        if (json_object_get(annotations, model_refs[i]))
            return err_set(
                err, ERR_DENIED,
                "annotation %s names a model object, which this version does not resolve; "
                "use ome.io/storage-type: \"pvc\" with ome.io/pvc-name and "
                "modelberth.io/source instead",
                model_refs[i]);
    const char *type = text_of(annotations, "ome.io/storage-type");
    if (type && !strcmp(type, "pvc"))
        return 1;
    if (json_object_get(annotations, PREFIX "source"))
        strlist_add(warnings,
                    "modelberth.io/source has no effect without ome.io/storage-type: \"pvc\"");
    return 0;
}

static void init(struct request *r)
{
    char **const strings[] = {&r->claim,  &r->path,       &r->mount, &r->source, &r->version,
                              &r->secret, &r->base_model, &r->cpu,   &r->memory};

    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        plan_set(strings[i], "");
    r->run_as_user = r->fs_group = -1;
}

int request_read(const json_t *annotations, struct request *out, struct strlist *warnings,
                 struct err *err)
{
    request_auto struct request r = {0};

    if (!json_is_object(annotations))
        return 0;
    int asked = is_triggered(annotations, warnings, err);
    if (asked != 1)
        return asked;
    init(&r);
    if (check_known(annotations, err) || read_values(annotations, &r, err) ||
        check_together(&r, err))
        return -1;
    *out = r;
    memset(&r, 0, sizeof r);
    return 1;
}

void request_release(struct request *r)
{
    free(r->claim);
    free(r->path);
    free(r->mount);
    free(r->source);
    free(r->version);
    free(r->secret);
    free(r->base_model);
    free(r->cpu);
    free(r->memory);
    strlist_release(&r->include);
    strlist_release(&r->exclude);
    strlist_release(&r->containers);
    memset(r, 0, sizeof *r);
}
