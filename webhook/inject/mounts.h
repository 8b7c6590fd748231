/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_MOUNTS_H
#define MODELBERTH_MOUNTS_H

#include "common/err.h"
#include "webhook/inject/patch.h"
#include "webhook/inject/pod.h"
#include "webhook/inject/volumes.h"

/*
 * Gives every target container its read-only mount of the model, moves the mounts
 * of containers that shared the old path, and lets MODEL_PATH follow.
 *
 * set_model_path  add MODEL_PATH to targets that have none
 *
 * Returns 0, or -1: ERR_DENIED when another volume is mounted at the model's path (names both),
 * ERR_INPUT where the spec is malformed.
 */
int mounts_apply(const struct containers *containers, const struct binding *binding,
                 bool set_model_path, struct patch *patch, struct err *err);

#endif
