/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/inject/init_container.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "webhook/inject/quantity.h"

#define ISTIO_PROXY_UID 1337 /* istio's default; its CNI plugin lets this user past the proxy */

struct identity {
    int64_t user;
    int64_t group;
};

static bool id_of(const json_t *context, const char *key, int64_t *out)
{
    const json_t *value = json_object_get(context, key);

    if (!json_is_integer(value))
        return false;
    *out = json_integer_value(value);
    return true;
}

/*
 * Under Istio's CNI plugin traffic is redirected to the proxy from the pod's first moment, and
 * the proxy runs only after the init containers: a download gets out as the proxy's user.
 * With istio-init, which comes after us, or a native sidecar, which comes before, there is no need.
 */
static bool istio_cni_user(const struct pod *pod, const struct plan *plan, int64_t *user)
{
    bool downloads = false;

    for (size_t i = 0; i < plan->n_models; i++)
        downloads |= *plan->models[i].source != '\0';

    const json_t *proxy =
        named_element(json_object_get(pod->spec, "containers"), "istio-proxy", NULL);
    if (!downloads || !proxy ||
        named_element(json_object_get(pod->spec, "initContainers"), "istio-init", NULL))
        return false;
    if (!id_of(json_object_get(proxy, "securityContext"), "runAsUser", user))
        *user = ISTIO_PROXY_UID;
    return true;
}

/* The annotation's, the serving container's, the pod's, or the config's, in this order. */
static struct identity choose_identity(const struct pod *pod, const struct container *serving,
                                       const struct plan *plan, const struct request *request,
                                       const struct config_init *config)
{
    const json_t *own = json_object_get(serving->json, "securityContext");
    const json_t *pods = json_object_get(pod->spec, "securityContext");
    struct identity id = {.user = config->run_as_user, .group = config->run_as_group};

    if (!id_of(own, "runAsGroup", &id.group))
        (void)id_of(pods, "runAsGroup", &id.group);
    if (request->run_as_user >= 0)
        id.user = request->run_as_user;
    else if (!istio_cni_user(pod, plan, &id.user) && !id_of(own, "runAsUser", &id.user))
        (void)id_of(pods, "runAsUser", &id.user);
    return id;
}

/* Complete for the restricted Pod Security Standard, but for the user where the pod says root. */
static json_t *security_context(struct identity id)
{
    json_t *context = json_pack(
        "{s:b, s:{s:[s]}, s:{s:s}, s:b, s:I, s:I}", "allowPrivilegeEscalation", 0, "capabilities",
        "drop", "ALL", "seccompProfile", "type", "RuntimeDefault", "readOnlyRootFilesystem", 1,
        "runAsUser", (json_int_t)id.user, "runAsGroup", (json_int_t)id.group);

    json_object_set_new(context, "runAsNonRoot", json_boolean(id.user != 0));
    return context;
}

/*
 * An init container's request costs nothing up to the sum of the app
 * containers' requests, so CPU is as large as the serving container's own.
 */
static char *choose_cpu(const struct container *serving, const char *least, struct err *err)
{
    const json_t *requests =
        json_object_get(json_object_get(serving->json, "resources"), "requests");
    const json_t *limits = json_object_get(json_object_get(serving->json, "resources"), "limits");
    const char *own = json_string_value(json_object_get(requests, "cpu"));
    autofree char *canonical = NULL;
    int64_t own_milli = 0;
    int64_t least_milli = 0;

    if (!own) /* a limit without a request is the request too */
        own = json_string_value(json_object_get(limits, "cpu"));
    if (quantity_canonical(least, &canonical, err) || quantity_parse(least, &least_milli, err))
        return NULL;
    struct err ignored; /* a malformed request is the API server's to refuse */
    if (own && !quantity_parse(own, &own_milli, &ignored) && own_milli > least_milli) {
        char *larger = NULL;
        if (!quantity_canonical(own, &larger, &ignored))
            return larger;
    }
    return take(canonical);
}

/* Requests equal limits: a Guaranteed pod stays Guaranteed. */
static json_t *resources(const struct container *serving, const struct request *request,
                         const struct config_init *config, struct err *err)
{
    autofree char *cpu =
        *request->cpu ? xstrdup(request->cpu) : choose_cpu(serving, config->cpu, err);
    autofree char *memory = NULL;

    if (!cpu ||
        quantity_canonical(*request->memory ? request->memory : config->memory, &memory, err))
        return NULL;
    return json_pack("{s:{s:s, s:s}, s:{s:s, s:s}}", "requests", "cpu", cpu, "memory", memory,
                     "limits", "cpu", cpu, "memory", memory);
}

static void add_mount(json_t *mounts, const char *volume, const char *path, bool read_only)
{
    size_t i;
    json_t *mount;

    json_array_foreach(mounts, i, mount)
        if (!strcmp(json_string_value(json_object_get(mount, "mountPath")), path))
            return; /* two models on one claim */
    mount = json_pack("{s:s, s:s}", "name", volume, "mountPath", path);
    if (read_only)
        json_object_set_new(mount, "readOnly", json_true());
    json_array_append_new(mounts, mount);
}

static json_t *volume_mounts(const struct plan *plan, const struct binding *bindings,
                             const struct request *request)
{
    json_t *mounts = json_array();

    for (size_t i = 0; i < plan->n_models; i++) {
        const struct plan_model *m = &plan->models[i];
        bool read_only = true;
        for (size_t j = 0; j < plan->n_models; j++)
            if (!strcmp(plan->models[j].claim, m->claim))
                read_only &= plan->models[j].read_only;
        add_mount(mounts, bindings[i].volume, m->root, read_only);
    }
    for (size_t i = 0; i < plan->n_models; i++) {
        autofree char *claim = plan_source_claim(&plan->models[i]);
        if (!claim)
            continue;
        autofree char *volume = volume_of_claim(plan, bindings, claim);
        autofree char *path = xasprintf(PLAN_CLAIMS_DIR "/%s", claim);
        add_mount(mounts, volume, path, true);
    }
    if (*request->secret) {
        autofree char *volume = volume_name(VOLUME_SECRET_PREFIX, request->secret);
        autofree char *path = xasprintf(PLAN_CREDENTIALS_DIR "/%s", request->secret);
        add_mount(mounts, volume, path, true);
    }
    return mounts;
}

/* Operators' variables first: kubelet lets a later entry refer to an earlier one. */
static json_t *environment(const char *plan_text, const struct config_init *config)
{
    json_t *env = json_array();
    const char *name;
    json_t *value;

    json_object_foreach(config->env, name, value)
        json_array_append_new(env, json_pack("{s:s, s:O}", "name", name, "value", value));
    json_array_append_new(env, json_pack("{s:s, s:s}", "name", PLAN_ENV, "value", plan_text));
    return env;
}

/* Appends those of `old` whose member `key` is not in `list`: other webhooks' additions. */
static void keep_others(json_t *list, const json_t *old, const char *key)
{
    size_t ours = json_array_size(list);
    size_t i;
    json_t *item;

    json_array_foreach(old, i, item) {
        const json_t *its = json_object_get(item, key);
        bool known = false;
        for (size_t j = 0; j < ours && !known; j++)
            known = json_equal(its, json_object_get(json_array_get(list, j), key));
        if (!known)
            json_array_append(list, item);
    }
}

/* A volume of ours that is not asked for any more must not come back as somebody else's. */
static void drop_stale_mounts(const struct pod *pod, json_t *mounts)
{
    json_auto_t *names = json_object();
    size_t i;
    json_t *volume;

    json_array_foreach(json_object_get(pod->spec, "volumes"), i, volume) {
        const char *name = json_string_value(json_object_get(volume, "name"));
        if (name)
            json_object_set_new(names, name, json_true());
    }
    for (i = json_array_size(mounts); i-- > 0;) {
        const char *name = json_string_value(json_object_get(json_array_get(mounts, i), "name"));
        if (!name || !json_object_get(names, name))
            json_array_remove(mounts, i);
    }
}

static json_t *build(const struct pod *pod, const struct containers *containers,
                     const struct plan *plan, const struct binding *bindings,
                     const struct request *request, const struct config_init *config,
                     const json_t *old, struct identity id, struct err *err)
{
    const struct container *serving = containers_serving(containers);
    autofree char *plan_text = NULL;
    json_auto_t *limits = resources(serving, request, config, err);

    if (!limits || plan_format(plan, &plan_text, err))
        return NULL;
    json_auto_t *env = environment(plan_text, config);
    json_auto_t *mounts = volume_mounts(plan, bindings, request);
    keep_others(env, json_object_get(old, "env"), "name");
    keep_others(mounts, json_object_get(old, "volumeMounts"), "mountPath");
    drop_stale_mounts(pod, mounts);
    return json_pack("{s:s, s:s, s:s, s:[s], s:O, s:O, s:O, s:o, s:s, s:s}", "name",
                     INIT_CONTAINER_NAME, "image", config->image, "imagePullPolicy",
                     config->image_pull_policy, "args", "fetch", "env", env, "resources", limits,
                     "volumeMounts", mounts, "securityContext", security_context(id),
                     "terminationMessagePath", "/dev/termination-log", "terminationMessagePolicy",
                     "FallbackToLogsOnError");
}

/*
 * Before everything that reads the model, and before istio-init and linkerd-init, which redirect
 * traffic to a proxy that does not run yet; after proxies that are native sidecars, which do run.
 */
static size_t position(const json_t *others)
{
    size_t after = 0;
    size_t i;
    json_t *item;

    json_array_foreach(others, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *restart = json_string_value(json_object_get(item, "restartPolicy"));
        if (name && restart && pod_is_proxy(name) && !strcmp(restart, "Always"))
            after = i + 1;
    }
    return after;
}

int init_container_apply(const struct pod *pod, const struct containers *containers,
                         const struct plan *plan, const struct binding *bindings,
                         const struct request *request, const struct config_init *config,
                         struct patch *patch, struct strlist *warnings, struct err *err)
{
    size_t old_index = 0;
    autofree char *path = pointer_key(pod->spec_path, "initContainers");
    json_t *list = patch_array(patch, pod->spec, pod->spec_path, "initContainers", err);
    struct identity id =
        choose_identity(pod, containers_serving(containers), plan, request, config);

    if (!list)
        return -1;
    if (id.user == 0)
        strlist_add(warnings, "modelberth-init runs as root because the pod does: set "
                              "modelberth.io/run-as-user to a user that may write the volume");
    const json_t *old = named_element(list, INIT_CONTAINER_NAME, &old_index);
    json_t *want = build(pod, containers, plan, bindings, request, config, old, id, err);
    if (!want)
        return -1;
    json_auto_t *others = json_copy(list);
    if (old)
        json_array_remove(others, old_index);
    size_t index = position(others);
    if (old && old_index == index) {
        patch_replace_at(patch, list, path, index, want);
        return 0;
    }
    if (old)
        patch_remove_at(patch, list, path, old_index);
    patch_insert(patch, list, path, index, want);
    return 0;
}
