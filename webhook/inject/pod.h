/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_POD_H
#define MODELBERTH_POD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/strlist.h"

#define INIT_CONTAINER_NAME "modelberth-init"

/*
 * A pod, or the template of one, inside a larger object: the two parts that
 * are edited and their JSON Pointers in that object. Borrows everything.
 */
struct pod {
    json_t *metadata;
    json_t *spec;
    const char *metadata_path;
    const char *spec_path;
};

/* One container of a pod, borrowed, with its JSON Pointer. */
struct container {
    json_t *json;
    char *path;
    const char *name;
    bool is_target; /* it gets the models */
};

/*
 * App and init containers of a pod, app containers first, ours left out. The
 * pointers are right until a container is inserted or removed.
 */
struct containers {
    struct container *v;
    size_t n;
    size_t n_app;
};

#define containers_auto __attribute__((cleanup(containers_release)))

/*
 * Lists the containers and marks the targets: those named in `wanted`, every app container for
 * "*", and for an empty list the names that serving platforms use, else every app container
 * but known proxies.
 *
 * Returns 0, or -1: ERR_DENIED when `wanted` names none that exists, ERR_INPUT where the spec is
 * malformed.
 */
int pod_containers(const struct pod *pod, const struct strlist *wanted, struct containers *out,
                   struct err *err);
void containers_release(struct containers *list);

/* The first target; every pod with containers has one. */
const struct container *containers_serving(const struct containers *list);

/* An annotation or label of the pod, borrowed; NULL when absent. */
const char *pod_annotation(const struct pod *pod, const char *key);
const char *pod_label(const struct pod *pod, const char *key);

/* The volume of that name, borrowed; NULL when absent. */
json_t *pod_volume(const struct pod *pod, const char *name);

/* True for the sidecars of service meshes: they never read a model. */
bool pod_is_proxy(const char *container_name);

/* The element of `list` whose member `name` is `name`, and its index; NULL when absent. */
json_t *named_element(const json_t *list, const char *name, size_t *index);

/* True when both are the same path but for slashes at the end. */
bool same_path(const char *a, const char *b);

#endif
