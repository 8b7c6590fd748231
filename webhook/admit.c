/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/admit.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/plan.h"
#include "common/source_uri.h"
#include "common/xalloc.h"
#include "webhook/inject/inject.h"
#include "webhook/request.h"

#define MODELS_DIR "/raid/models"
#define KSERVE_MODELS_DIR "/mnt/models"

/* Where the platform already mounts its volume for the model, borrowed; NULL when it does not. */
static const char *platform_mount(const struct containers *containers, const char *base_model)
{
    const json_t *mounts = json_object_get(containers_serving(containers)->json, "volumeMounts");

    if (!*base_model)
        return NULL;
    return json_string_value(json_object_get(named_element(mounts, base_model, NULL), "mountPath"));
}

static bool is_kserve(const struct pod *pod)
{
    const char *part_of = pod_label(pod, "app.kubernetes.io/part-of");

    return pod_label(pod, "serving.kserve.io/inferenceservice") ||
           (part_of && !strcmp(part_of, "llminferenceservice"));
}

static int choose_mount(const struct pod *pod, const struct containers *containers,
                        const struct request *request, char **out, struct err *err)
{
    const char *platform = platform_mount(containers, request->base_model);
    const char *name = json_string_value(json_object_get(pod->metadata, "name"));

    if (*request->mount)
        *out = xstrdup(request->mount);
    else if (platform)
        *out = xstrdup(platform);
    else if (is_kserve(pod))
        *out = xstrdup(KSERVE_MODELS_DIR);
    else if (*request->base_model)
        *out = xasprintf(MODELS_DIR "/%s", request->base_model);
    else if (name)
        *out = xasprintf(MODELS_DIR "/%s", name);
    else
        return err_set(
            err, ERR_DENIED,
            "annotation ome.io/mount-path is missing: the pod's name is generated, so there "
            "is no default; add ome.io/mount-path with the absolute path where the "
            "container reads the model");
    return 0;
}

static void make_plan(const struct request *request, const struct config *config, const char *mount,
                      struct plan *plan)
{
    struct plan_model *m = plan_add(plan);

    plan->timeout_s = request->timeout_s ? request->timeout_s : config->init.timeout_s;
    plan_set(&m->claim, request->claim);
    plan_set(&m->path, request->path);
    plan_set(&m->mount, mount);
    plan_set(&m->source, request->source);
    plan_set(&m->version, request->version);
    m->verify = request->verify;
    m->read_only = !*request->source;
    for (size_t i = 0; i < request->include.n; i++)
        strlist_add(&m->include, request->include.v[i]);
    for (size_t i = 0; i < request->exclude.n; i++)
        strlist_add(&m->exclude, request->exclude.v[i]);
    autofree char *root = xasprintf(PLAN_CLAIMS_DIR "/%s", request->claim);
    plan_set(&m->root, root);
    if (*request->secret) {
        autofree char *directory = xasprintf(PLAN_CREDENTIALS_DIR "/%s", request->secret);
        plan_set(&m->credentials, directory);
    }
}

static void warn(struct strlist *warnings, const char *text, const char *value)
{
    autofree char *sentence = xasprintf("%s%s", text, value);

    strlist_add(warnings, sentence);
}

static void add_warnings(const struct plan_model *m, struct strlist *warnings)
{
    source_uri_auto struct source_uri source = {0};
    struct err ignored;

    if (m->verify == VERIFY_OFF)
        strlist_add(warnings, "modelberth.io/verify: \"off\" starts the pod on whatever is there");
    else if (!*m->source)
        strlist_add(warnings,
                    "no modelberth.io/source: what is on the claim is checked, but nothing "
                    "says which version it must be");
    if (*m->source && !source_uri_parse(m->source, m->version, &source, &ignored) &&
        source.scheme != SOURCE_PVC && !source_uri_is_immutable(&source))
        warn(warnings,
             "not pinned to an immutable version, what is published first stays: ", m->source);
}

static int check_pod(const struct pod *pod, struct err *err)
{
    const json_t *os = json_object_get(pod->spec, "os");
    const char *name = json_string_value(json_object_get(os, "name"));

    if (name && !strcmp(name, "windows"))
        return err_set(err, ERR_DENIED,
                       "ome.io/storage-type: \"pvc\" is not possible in a Windows pod: the init "
                       "container that checks the model is a Linux image; remove the annotation");
    return 0;
}

static int decide(const struct pod *pod, const struct config *config, const struct request *request,
                  struct decision *out, struct err *err)
{
    containers_auto struct containers containers = {0};
    plan_auto struct plan plan = {0};
    autofree char *mount = NULL;

    if (check_pod(pod, err) || pod_containers(pod, &request->containers, &containers, err) ||
        choose_mount(pod, &containers, request, &mount, err))
        return -1;
    make_plan(request, config, mount, &plan);
    add_warnings(&plan.models[0], &out->warnings);
    if (inject_pod(pod, &containers, &plan, request, &config->init, &out->patch, &out->warnings,
                   err))
        return -1;
    out->reason = xasprintf("claim '%s' path '%s' at '%s' %s%s", request->claim, request->path,
                            mount, *request->source ? "from " : "without source", request->source);
    return 1;
}

int admit_pod(const struct pod *pod, const struct config *config, struct decision *out,
              struct err *err)
{
    const json_t *annotations = json_object_get(pod->metadata, "annotations");
    decision_auto struct decision decision = {0};
    request_auto struct request request = {0};

    /* a mirror pod only shows what kubelet runs from a file: nothing can be changed */
    int asked = pod_annotation(pod, "kubernetes.io/config.mirror")
                    ? 0
                    : request_read(annotations, &request, &decision.warnings, err);
    if (asked == 1)
        asked = decide(pod, config, &request, &decision, err);
    if (asked < 0)
        return -1;
    if (!asked)
        decision.reason = xstrdup("no model asked for");
    *out = decision;
    memset(&decision, 0, sizeof decision);
    return asked;
}

void decision_release(struct decision *decision)
{
    patch_release(&decision->patch);
    strlist_release(&decision->warnings);
    free(decision->reason);
    decision->reason = NULL;
}
