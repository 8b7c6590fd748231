/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/inject/inject.h"

#include "common/cleanup.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "webhook/inject/init_container.h"
#include "webhook/inject/mounts.h"
#include "webhook/inject/scheduling.h"
#include "webhook/inject/volumes.h"

/* What was decided, for people to read: nothing ever trusts it. */
static int put_mark(const struct pod *pod, const struct plan *plan, struct patch *patch,
                    struct err *err)
{
    autofree char *path = pointer_key(pod->metadata_path, "annotations");
    json_t *annotations =
        patch_object(patch, pod->metadata, pod->metadata_path, "annotations", err);
    json_auto_t *mark = json_array();

    if (!annotations)
        return -1;
    for (size_t i = 0; i < plan->n_models; i++) {
        const struct plan_model *m = &plan->models[i];
        json_t *entry =
            json_pack("{s:s, s:s, s:s}", "claim", m->claim, "path", m->path, "mount", m->mount);
        if (*m->source)
            json_object_set_new(entry, "source", json_string(m->source));
        if (*m->version)
            json_object_set_new(entry, "version", json_string(m->version));
        json_object_set_new(entry, "verify", json_string(verify_mode_name(m->verify)));
        json_array_append_new(mark, entry);
    }
    autofree char *text = json_text(mark);
    patch_set(patch, annotations, path, INJECTED_ANNOTATION, json_string(text));
    return 0;
}

/*
 * fsGroup is the user's decision: it does not reach most RWX volumes and
 * changes the owner of every other volume of the pod.
 */
static int put_fs_group(const struct pod *pod, int64_t group, struct patch *patch, struct err *err)
{
    autofree char *path = pointer_key(pod->spec_path, "securityContext");

    if (group < 0)
        return 0;
    json_t *context = patch_object(patch, pod->spec, pod->spec_path, "securityContext", err);
    if (!context)
        return -1;
    patch_set(patch, context, path, "fsGroup", json_integer(group));
    return 0;
}

static int apply(const struct pod *pod, const struct containers *containers,
                 const struct plan *plan, const struct binding *bindings,
                 const struct request *request, const struct config_init *config,
                 struct patch *patch, struct strlist *warnings, struct err *err)
{
    bool set_model_path = *request->base_model != '\0';

    if (volumes_apply(pod, containers, plan, bindings, request->secret, patch, err))
        return -1;
    for (size_t i = 0; i < plan->n_models; i++)
        if (mounts_apply(containers, &bindings[i], set_model_path, patch, err))
            return -1;
    scheduling_release_nodes(pod, patch);
    if (put_fs_group(pod, request->fs_group, patch, err) || put_mark(pod, plan, patch, err))
        return -1;
    /* last: it moves the indexes of the init containers */
    return init_container_apply(pod, containers, plan, bindings, request, config, patch, warnings,
                                err);
}

int inject_pod(const struct pod *pod, const struct containers *containers, const struct plan *plan,
               const struct request *request, const struct config_init *config, struct patch *patch,
               struct strlist *warnings, struct err *err)
{
    struct binding *bindings = xcalloc(plan->n_models, sizeof *bindings);

    volumes_bind(pod, containers, plan, request->base_model, bindings);
    int rc = apply(pod, containers, plan, bindings, request, config, patch, warnings, err);
    for (size_t i = 0; i < plan->n_models; i++)
        binding_release(&bindings[i]);
    free(bindings);
    return rc;
}
