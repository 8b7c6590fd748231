/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_REPORT_H
#define MODELBERTH_INITC_REPORT_H

#include "common/err.h"
#include "common/plan.h"
#include "deliver.h"

/*
 * What people read in the end: one closing line for success, and for failure also the
 * termination message that `kubectl describe pod` shows. On a terminal that is plain text,
 * otherwise one JSON line on standard error.
 */
#define TERMINATION_LOG "/dev/termination-log"
#define TERMINATION_MAX_BYTES 4096

void report_success(const struct plan_model *model, const struct outcome *outcome, int64_t ms,
                    bool terminal);

/*
 * `model` may be NULL. The termination message goes to `termination_log` where that file exists and
 * can be written; it is never created. Returns the exit code.
 */
int report_failure(const struct plan_model *model, const struct err *err, int exit_code,
                   const char *termination_log, bool terminal);

#endif
