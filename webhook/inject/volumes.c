/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/inject/volumes.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/digest.h"
#include "common/source_uri.h"
#include "common/strlist.h"
#include "common/xalloc.h"

#define DNS_LABEL_MAX_BYTES 63
#define SECRET_MODE 0444 /* initc is not root, and only its container mounts the volume */

char *volume_name(const char *prefix, const char *object_name)
{
    char hex[DIGEST_TEXT_BYTES];
    struct digest d;

    if (!strchr(object_name, '.') && strlen(prefix) + strlen(object_name) <= DNS_LABEL_MAX_BYTES)
        return xasprintf("%s%s", prefix, object_name);
    digest_bytes(DIGEST_SHA256, object_name, strlen(object_name), &d);
    return xasprintf("%s%.16s", prefix, digest_format(&d, hex) + strlen("sha256:"));
}

bool volume_is_ours(const char *name)
{
    return !strncmp(name, VOLUME_CLAIM_PREFIX, strlen(VOLUME_CLAIM_PREFIX)) ||
           !strncmp(name, VOLUME_SECRET_PREFIX, strlen(VOLUME_SECRET_PREFIX));
}

static const char *claim_of(const json_t *volume)
{
    const json_t *pvc = json_object_get(volume, "persistentVolumeClaim");

    return json_string_value(json_object_get(pvc, "claimName"));
}

/* Where `volume` is mounted: in a target if in any. Borrowed; NULL when nowhere. */
static const char *mount_path_of(const struct containers *containers, const char *volume)
{
    const char *found = NULL;

    for (size_t i = 0; i < containers->n; i++) {
        const struct container *c = &containers->v[i];
        const json_t *mount = named_element(json_object_get(c->json, "volumeMounts"), volume, NULL);
        const char *path = json_string_value(json_object_get(mount, "mountPath"));
        if (path && c->is_target)
            return path;
        if (path && !found)
            found = path;
    }
    return found;
}

/* The volume that a target mounts at `path`, borrowed; NULL when there is none. */
static const char *volume_at(const struct containers *containers, const char *path)
{
    size_t m;
    json_t *mount;

    for (size_t i = 0; i < containers->n; i++) {
        if (!containers->v[i].is_target)
            continue;
        json_array_foreach(json_object_get(containers->v[i].json, "volumeMounts"), m, mount) {
            const char *at = json_string_value(json_object_get(mount, "mountPath"));
            if (at && same_path(at, path))
                return json_string_value(json_object_get(mount, "name"));
        }
    }
    return NULL;
}

static void bind(const struct pod *pod, const struct containers *containers,
                 const struct plan_model *model, const char *base_model, struct binding *out)
{
    out->model = model;
    if (*base_model && pod_volume(pod, base_model)) {
        const char *old = mount_path_of(containers, base_model);
        out->volume = xstrdup(base_model);
        out->old_mount = xstrdup(old ? old : "");
        out->is_platform = true;
        return;
    }
    const char *there = volume_at(containers, model->mount);
    const json_t *volume = there ? pod_volume(pod, there) : NULL;
    const char *claim = claim_of(volume);
    bool is_host_path = json_object_get(volume, "hostPath") != NULL;
    bool same_claim = claim && !strcmp(claim, model->claim) && !volume_is_ours(there);
    out->is_platform = is_host_path;
    out->old_mount = xstrdup(is_host_path ? model->mount : "");
    out->volume = is_host_path || same_claim ? xstrdup(there)
                                             : volume_name(VOLUME_CLAIM_PREFIX, model->claim);
}

void volumes_bind(const struct pod *pod, const struct containers *containers,
                  const struct plan *plan, const char *base_model, struct binding *out)
{
    /* a platform has one volume for its model: the first of the plan */
    for (size_t i = 0; i < plan->n_models; i++) {
        bind(pod, containers, &plan->models[i], i == 0 ? base_model : "", &out[i]);
        out[i].is_first = i == 0;
    }
}

void binding_release(struct binding *binding)
{
    free(binding->volume);
    free(binding->old_mount);
}

char *plan_source_claim(const struct plan_model *model)
{
    struct err ignored;
    source_uri_auto struct source_uri source = {0};

    if (!*model->source || source_uri_parse(model->source, model->version, &source, &ignored) ||
        source.scheme != SOURCE_PVC)
        return NULL;
    return xstrdup(source.name);
}

char *volume_of_claim(const struct plan *plan, const struct binding *bindings, const char *claim)
{
    for (size_t i = 0; i < plan->n_models; i++)
        if (!strcmp(plan->models[i].claim, claim))
            return xstrdup(bindings[i].volume);
    return volume_name(VOLUME_CLAIM_PREFIX, claim);
}

/* The volume is writable for everybody or for nobody: kubelet applies readOnly to every mount. */
static bool claim_needs_writing(const struct plan *plan, const char *claim)
{
    for (size_t i = 0; i < plan->n_models; i++)
        if (!strcmp(plan->models[i].claim, claim) && !plan->models[i].read_only)
            return true;
    return false;
}

static void put_volume(json_t *volumes, const char *path, json_t *want, struct patch *patch)
{
    size_t index = json_array_size(volumes);
    const char *name = json_string_value(json_object_get(want, "name"));

    if (named_element(volumes, name, &index))
        patch_replace_at(patch, volumes, path, index, want);
    else
        patch_insert(patch, volumes, path, index, want);
}

static void put_claim(const struct plan *plan, const char *name, const char *claim, json_t *volumes,
                      const char *path, struct patch *patch)
{
    bool writes = claim_needs_writing(plan, claim);
    const json_t *old = named_element(volumes, name, NULL);
    const char *old_claim = claim_of(old);
    bool users_own = old_claim && !strcmp(old_claim, claim) && !volume_is_ours(name);
    bool old_read_only =
        json_is_true(json_object_get(json_object_get(old, "persistentVolumeClaim"), "readOnly"));

    /* what the user already mounts stays writable if it was */
    bool read_only = users_own ? old_read_only && !writes : !writes;
    json_t *source = json_pack("{s:s}", "claimName", claim);
    if (read_only)
        json_object_set_new(source, "readOnly", json_true());
    put_volume(volumes, path,
               json_pack("{s:s, s:o}", "name", name, "persistentVolumeClaim", source), patch);
}

static void put_secret(const char *secret, json_t *volumes, const char *path, struct patch *patch)
{
    autofree char *name = volume_name(VOLUME_SECRET_PREFIX, secret);

    /* optional: a model that is already there must start without its Secret */
    put_volume(volumes, path,
               json_pack("{s:s, s:{s:s, s:b, s:i}}", "name", name, "secret", "secretName", secret,
                         "optional", 1, "defaultMode", SECRET_MODE),
               patch);
}

static bool is_stale(const json_t *element, const struct strlist *used)
{
    const char *name = json_string_value(json_object_get(element, "name"));

    return name && volume_is_ours(name) && !strlist_has(used, name);
}

/* One pass from the end: a pod may hold as many of them as fit into a request. */
static void remove_stale_elements(json_t *list, const char *path, const struct strlist *used,
                                  struct patch *patch)
{
    for (size_t i = json_array_size(list); i-- > 0;)
        if (is_stale(json_array_get(list, i), used))
            patch_remove_at(patch, list, path, i);
}

static void remove_stale(const struct containers *containers, const struct strlist *used,
                         json_t *volumes, const char *path, struct patch *patch)
{
    for (size_t i = 0; i < containers->n; i++) {
        autofree char *mounts = pointer_key(containers->v[i].path, "volumeMounts");
        remove_stale_elements(json_object_get(containers->v[i].json, "volumeMounts"), mounts, used,
                              patch);
    }
    remove_stale_elements(volumes, path, used, patch);
}

int volumes_apply(const struct pod *pod, const struct containers *containers,
                  const struct plan *plan, const struct binding *bindings, const char *secret,
                  struct patch *patch, struct err *err)
{
    struct strlist used = {0};
    autofree char *path = pointer_key(pod->spec_path, "volumes");
    json_t *volumes = patch_array(patch, pod->spec, pod->spec_path, "volumes", err);

    if (!volumes)
        return -1;
    for (size_t i = 0; i < plan->n_models; i++) {
        autofree char *source_claim = plan_source_claim(&plan->models[i]);
        autofree char *source_volume =
            source_claim ? volume_of_claim(plan, bindings, source_claim) : NULL;
        put_claim(plan, bindings[i].volume, plan->models[i].claim, volumes, path, patch);
        strlist_add(&used, bindings[i].volume);
        if (source_volume) {
            put_claim(plan, source_volume, source_claim, volumes, path, patch);
            strlist_add(&used, source_volume);
        }
    }
    if (*secret) {
        autofree char *name = volume_name(VOLUME_SECRET_PREFIX, secret);
        put_secret(secret, volumes, path, patch);
        strlist_add(&used, name);
    }
    remove_stale(containers, &used, volumes, path, patch);
    strlist_release(&used);
    return 0;
}
