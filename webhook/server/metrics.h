/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_METRICS_H
#define MODELBERTH_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "webhook/review.h"

/*
 * Counters of the process, in the text format of Prometheus. Recording takes
 * no lock and may be done by any thread.
 */

#define METRICS_MAX_BYTES (64 * 1024)

/* A review that was decided. Kinds that are not known are counted as "other". */
void metrics_review(const char *kind, enum review_outcome outcome, uint64_t duration_ns);
/* A body that was no AdmissionReview. */
void metrics_review_error(uint64_t duration_ns);

void metrics_request_begin(void);
void metrics_request_end(void);
/* Requests begun and not ended. */
size_t metrics_requests_in_flight(void);

void metrics_response(unsigned status);

/* What others know, at the time of writing. */
struct metrics_gauges {
    size_t connections;
    int64_t certificate_expiry; /* seconds since 1970 */
    uint64_t resident_bytes;
};

void metrics_write(struct strbuf *out, const struct metrics_gauges *gauges);

/* Memory of this process that is in RAM; 0 when the kernel does not say. */
uint64_t metrics_resident_bytes(void);

#endif
