/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_SCHEDULING_H
#define MODELBERTH_SCHEDULING_H

#include "webhook/inject/patch.h"
#include "webhook/inject/pod.h"

/*
 * Drops what ties the pod to nodes that hold the model on their own disk: node
 * selector keys and node affinity expressions under "models.ome.io/". Others stay.
 */
void scheduling_release_nodes(const struct pod *pod, struct patch *patch);

#endif
