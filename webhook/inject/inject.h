/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INJECT_H
#define MODELBERTH_INJECT_H

#include "common/err.h"
#include "common/plan.h"
#include "common/strlist.h"
#include "webhook/config.h"
#include "webhook/inject/patch.h"
#include "webhook/inject/pod.h"
#include "webhook/request.h"

#define INJECTED_ANNOTATION "modelberth.io/injected"

/*
 * The mutation itself, pure: reads no clock, file or network, and the same pod, plan and config
 * give the same edits. Volumes, mounts, MODEL_PATH, node selection, init container and the mark
 * are brought to what the plan says; on a pod that already is so, nothing is edited.
 *
 * containers  of this pod, with the targets marked
 * patch       gets the edits; the tree is changed along with it
 * warnings    gets sentences for the user
 *
 * Returns 0, or -1 with ERR_DENIED or ERR_INPUT; the tree is then half edited and of no use.
 */
int inject_pod(const struct pod *pod, const struct containers *containers, const struct plan *plan,
               const struct request *request, const struct config_init *config, struct patch *patch,
               struct strlist *warnings, struct err *err);

#endif
