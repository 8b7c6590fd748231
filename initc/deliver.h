/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_DELIVER_H
#define MODELBERTH_INITC_DELIVER_H

#include "common/plan.h"
#include "job.h"

/*
 * One model of a plan, from "is it there?" to "it is there and verified".
 */
struct outcome {
    const char *how; /* a literal: "downloaded", "already verified", "adopted" ... */
    uint64_t bytes;  /* of the model; 0 where nobody counted */
    uint64_t files;
    uint64_t fetched;  /* bytes that came from the source in this run */
    size_t rehashed;   /* files that quick had to hash because their time had changed */
    size_t unverified; /* files that no source vouches for */
    char revision[128];
    char warning[512]; /* "" for none */
};

/* Returns 0, or -1 with *err. May take as long as the job's deadline allows. */
int deliver(const struct plan_model *model, struct job *job, struct outcome *out, struct err *err);

#endif
