/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INIT_CONTAINER_H
#define MODELBERTH_INIT_CONTAINER_H

#include "common/err.h"
#include "common/plan.h"
#include "common/strlist.h"
#include "webhook/config.h"
#include "webhook/inject/patch.h"
#include "webhook/inject/pod.h"
#include "webhook/inject/volumes.h"
#include "webhook/request.h"

/*
 * Puts the container modelberth-init into the pod, or brings the one that is there
 * to what it must be: whatever stands under that name is ours. Entries that other
 * webhooks added to its env and volumeMounts stay.
 *
 * warnings  gets a sentence where the pod forces the container to run as root
 *
 * Returns 0, or -1 with ERR_INPUT.
 */
int init_container_apply(const struct pod *pod, const struct containers *containers,
                         const struct plan *plan, const struct binding *bindings,
                         const struct request *request, const struct config_init *config,
                         struct patch *patch, struct strlist *warnings, struct err *err);

#endif
