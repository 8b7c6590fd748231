/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_ADMIT_H
#define MODELBERTH_ADMIT_H

#include "common/err.h"
#include "common/strlist.h"
#include "webhook/config.h"
#include "webhook/inject/patch.h"
#include "webhook/inject/pod.h"

/* What is to happen with a pod. */
struct decision {
    struct patch patch; /* empty: nothing changes */
    struct strlist warnings;
    char *reason; /* one sentence for log and audit */
};

#define decision_auto __attribute__((cleanup(decision_release)))

/*
 * Decides on one pod or pod template: annotations to request, request to plan,
 * plan to edits. Pure; the tree is edited along with the patch. The server, the offline command and
 * the tests all come through here.
 *
 * Returns 1 when a model was asked for, 0 when the pod is none of our business
 * (nothing edited), or -1: ERR_DENIED with a sentence for the user, ERR_INPUT where the spec is
 * malformed. `out` is to be released after 0 and 1.
 */
int admit_pod(const struct pod *pod, const struct config *config, struct decision *out,
              struct err *err);
void decision_release(struct decision *decision);

#endif
