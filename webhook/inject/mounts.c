/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/inject/mounts.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define MODEL_PATH "MODEL_PATH"

static const char *text_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* Rest of `path` below `base`: "" for base itself, "/x" below, NULL outside. */
static const char *below(const char *path, const char *base)
{
    size_t n = strlen(base);

    while (n > 1 && base[n - 1] == '/')
        n--;
    if (!n || strncmp(path, base, n) != 0)
        return NULL;
    return path[n] == '\0' || path[n] == '/' ? path + n : NULL;
}

static void set_sub_path(json_t *mount, const char *path, const char *sub_path, struct patch *patch)
{
    patch_remove(patch, mount, path, "subPathExpr"); /* excludes subPath */
    if (*sub_path)
        patch_set(patch, mount, path, "subPath", json_string(sub_path));
    else
        patch_remove(patch, mount, path, "subPath");
    patch_set(patch, mount, path, "readOnly", json_true());
}

/* A mount of the platform's volume at a path of its own: the model's directory is now deeper. */
static void deepen(json_t *mount, const char *path, const char *model_path, struct patch *patch)
{
    const char *old = text_member(mount, "subPath");

    if (below(old, model_path)) {
        set_sub_path(mount, path, old, patch);
        return;
    }
    autofree char *joined = *old && *model_path ? xasprintf("%s/%s", model_path, old)
                                                : xstrdup(*old ? old : model_path);
    set_sub_path(mount, path, joined, patch);
}

static int check_clash(const struct container *c, const json_t *mounts, const struct binding *b,
                       struct err *err)
{
    size_t i;
    json_t *mount;

    json_array_foreach(mounts, i, mount) {
        if (!same_path(text_member(mount, "mountPath"), b->model->mount) ||
            !strcmp(text_member(mount, "name"), b->volume))
            continue;
        return err_set(
            err, ERR_DENIED,
            "container '%s' already mounts volume '%s' at '%s', where claim '%s' is to be "
            "mounted; remove that mount or set another ome.io/mount-path",
            c->name, text_member(mount, "name"), b->model->mount, b->model->claim);
    }
    return 0;
}

/* 1 when the container sees the model at its path afterwards, 0 when not. */
static int apply_existing(json_t *mounts, const char *path, const struct binding *b,
                          struct patch *patch)
{
    int seen = 0;

    for (size_t i = 0; i < json_array_size(mounts); i++) {
        json_t *mount = json_array_get(mounts, i);
        const char *at = text_member(mount, "mountPath");
        autofree char *mount_path = pointer_index(path, i);
        if (strcmp(text_member(mount, "name"), b->volume) != 0)
            continue;
        if (!same_path(at, b->model->mount) && (!*b->old_mount || !same_path(at, b->old_mount))) {
            if (b->is_platform)
                deepen(mount, mount_path, b->model->path, patch);
            continue;
        }
        if (seen) { /* old and new path in one container: one mount is left */
            patch_remove_at(patch, mounts, path, i--);
            continue;
        }
        if (!same_path(at, b->model->mount))
            patch_set(patch, mount, mount_path, "mountPath", json_string(b->model->mount));
        set_sub_path(mount, mount_path, b->model->path, patch);
        seen = 1;
    }
    return seen;
}

static json_t *new_mount(const struct binding *b)
{
    json_t *mount = json_pack("{s:s, s:s, s:b}", "name", b->volume, "mountPath", b->model->mount,
                              "readOnly", 1);

    if (*b->model->path)
        json_object_set_new(mount, "subPath", json_string(b->model->path));
    return mount;
}

/*
 * MODEL_PATH says where the model is: inside the new mount it stays, inside the
 * old one it moves along, elsewhere it was wrong.
 */
static int follow_model_path(const struct container *c, const struct binding *b, bool add,
                             struct patch *patch, struct err *err)
{
    const char *mount = b->model->mount;
    size_t index;
    json_t *list = json_object_get(c->json, "env");
    autofree char *path = pointer_key(c->path, "env");
    json_t *variable = named_element(list, MODEL_PATH, &index);

    if (!variable) {
        if (!add)
            return 0;
        list = patch_array(patch, c->json, c->path, "env", err);
        if (!list)
            return -1;
        patch_insert(patch, list, path, json_array_size(list),
                     json_pack("{s:s, s:s}", "name", MODEL_PATH, "value", mount));
        return 0;
    }
    const char *value = json_string_value(json_object_get(variable, "value"));
    if (!value || below(value, mount))
        return 0;
    const char *rest = below(value, b->old_mount);
    if (!rest && !c->is_target)
        return 0;
    autofree char *at = pointer_index(path, index);
    autofree char *moved = xasprintf("%s%s", mount, rest ? rest : "");
    patch_set(patch, variable, at, "value", json_string(moved));
    return 0;
}

int mounts_apply(const struct containers *containers, const struct binding *b, bool set_model_path,
                 struct patch *patch, struct err *err)
{
    for (size_t i = 0; i < containers->n; i++) {
        const struct container *c = &containers->v[i];
        json_t *mounts = json_object_get(c->json, "volumeMounts");
        autofree char *path = pointer_key(c->path, "volumeMounts");
        bool uses = named_element(mounts, b->volume, NULL) != NULL;

        if (!uses && !c->is_target)
            continue;
        if (check_clash(c, mounts, b, err))
            return -1;
        int seen = apply_existing(mounts, path, b, patch);
        if (!seen && c->is_target) {
            mounts = patch_array(patch, c->json, c->path, "volumeMounts", err);
            if (!mounts)
                return -1;
            patch_insert(patch, mounts, path, json_array_size(mounts), new_mount(b));
        }
        if (b->is_first && (seen || c->is_target) &&
            follow_model_path(c, b, set_model_path && c->is_target, patch, err))
            return -1;
    }
    return 0;
}
