/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_REVIEW_H
#define MODELBERTH_REVIEW_H

#include <stddef.h>

#include "common/err.h"
#include "webhook/config.h"

/*
 * An AdmissionReview in, an AdmissionReview out: admission.k8s.io v1 and v1beta1, the version of
 * the request echoed. Thread-safe; reads nothing but its arguments.
 */

/* The API server sends two objects of at most 3 MiB and 1 MiB of envelope. */
#define REVIEW_BODY_MAX_BYTES (7 * 1024 * 1024)

enum review_outcome {
    REVIEW_ALLOWED, /* as it came */
    REVIEW_PATCHED, /* allowed with a patch */
    REVIEW_DENIED,  /* allowed: false */
    REVIEW_OUTCOMES
};

/* What was decided, for the answer, the metrics and the log. */
struct review_result {
    char *body; /* the response, JSON */
    size_t body_len;
    enum review_outcome outcome;
    char *kind;      /* of the object, as sent: not to be used as a metric's label unchecked */
    char *uid;       /* of the request */
    char *namespace; /* "" where the request has none */
    char *name;      /* or generateName; may be "" */
    char *operation; /* CREATE, ... */
    char *reason;    /* one sentence: why denied, why left alone, what was injected */
};

/*
 * Decides. Returns 0 with `out` filled, to be released by the caller, or -1 with ERR_INPUT when
 * the body is no AdmissionReview that could be answered: an HTTP 400 with the message.
 */
int review_answer(const char *body, size_t len, const struct config *config,
                  struct review_result *out, struct err *err);

void review_result_release(struct review_result *result);

/* "allowed", "patched", "denied" */
const char *review_outcome_name(enum review_outcome outcome);

#endif
