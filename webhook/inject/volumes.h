/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_VOLUMES_H
#define MODELBERTH_VOLUMES_H

#include <stdbool.h>

#include "common/err.h"
#include "common/plan.h"
#include "webhook/inject/patch.h"
#include "webhook/inject/pod.h"

/* Volumes under these names are ours: what is no longer asked for is removed. */
#define VOLUME_CLAIM_PREFIX "modelberth-pvc-"
#define VOLUME_SECRET_PREFIX "modelberth-secret-"

/*
 * The volume name for a claim or Secret: prefix and name, or, where that is no
 * DNS label or passes 63 characters, prefix and a hash. The caller's to free.
 */
char *volume_name(const char *prefix, const char *object_name);

bool volume_is_ours(const char *name);

/* Which volume of the pod serves one model of the plan. */
struct binding {
    const struct plan_model *model;
    char *volume;
    char *old_mount;  /* where containers saw it before; "" when it is new */
    bool is_first;    /* of the plan: MODEL_PATH and the platform's volume are its */
    bool is_platform; /* the platform put it there for this model: it is taken over */
};

/*
 * Finds the volume of each model (`out` has plan->n_models elements):
 *
 *   1. the volume named `base_model` ("" for none), whatever its source: OME's
 *   2. a hostPath volume or the same claim, mounted in a target at the model's path
 *   3. our own, by claim
 */
void volumes_bind(const struct pod *pod, const struct containers *containers,
                  const struct plan *plan, const char *base_model, struct binding *out);
void binding_release(struct binding *binding);

/*
 * Makes the volumes of the bindings and of the claims that sources are copied
 * from, read-only where nothing needs writing, and removes volumes of ours
 * that nothing uses any more, with their mounts.
 */
int volumes_apply(const struct pod *pod, const struct containers *containers,
                  const struct plan *plan, const struct binding *bindings, const char *secret,
                  struct patch *patch, struct err *err);

/*
 * The volume that holds claim `claim` after volumes_apply(): one of the bindings or our own. The
 * caller's to free.
 */
char *volume_of_claim(const struct plan *plan, const struct binding *bindings, const char *claim);

/* The claim that a pvc:// source is copied from; NULL for all others. The caller's to free. */
char *plan_source_claim(const struct plan_model *model);

#endif
