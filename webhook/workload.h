/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_WORKLOAD_H
#define MODELBERTH_WORKLOAD_H

#include <jansson.h>

#include "common/err.h"
#include "webhook/inject/pod.h"

/*
 * The kinds that hold a pod, and where: one row each. Pods stand for themselves, the others carry
 * a template.
 */
struct workload {
    const char *group; /* API group, "" for the core one */
    const char *kind;
    const char *template; /* JSON Pointer of the object that has metadata and spec */
};

/* The row for an object by its apiVersion (any version of the group) and kind; NULL for none. */
const struct workload *workload_of(const json_t *object);

/*
 * The pod inside an object of that kind.
 *
 * out  borrows from the object and the row; metadata is NULL where a template has none
 *
 * Returns 0, or -1 with ERR_INPUT when the object has no pod spec where its kind has it.
 */
int workload_pod(const struct workload *workload, json_t *object, struct pod *out, struct err *err);

#endif
