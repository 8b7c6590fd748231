/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_PLACE_H
#define MODELBERTH_INITC_PLACE_H

#include "common/err.h"
#include "common/plan.h"

/*
 * Turns a directory as a person writes it into root and path of a plan: the root is the deepest
 * directory above it that exists; a mount point is a root itself. Returns 0, or -1 with *err.
 */
int place_model(struct plan_model *model, const char *dir, struct err *err);

#endif
