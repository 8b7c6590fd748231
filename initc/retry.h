/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_RETRY_H
#define MODELBERTH_INITC_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "job.h"

/*
 * What is tried again, and after how long. The first three functions are pure.
 */

/* Whether an HTTP status is transient: 408, 425, 429, 500, 502, 503, 504. */
bool retry_is_transient(long status);

/*
 * Seconds that the server asks to wait, -1 when it does not say. `retry_after` is that header in
 * seconds or as a date, `ratelimit` the RateLimit header ("\"api\";r=0;t=55"); both may be NULL.
 */
int64_t retry_asked_s(const char *retry_after, const char *ratelimit, int64_t now_unix_s);

/*
 * Milliseconds before try number `attempt` (1 is the first repetition): what the server asked, else
 * doubling from half a second to 30 seconds; `random` spreads it over the upper half.
 */
int64_t retry_delay_ms(unsigned attempt, int64_t asked_s, uint32_t random);

/*
 * Sleeps before the next try and says why (`err` of the failed one) in the
 * progress. Returns 0, or -1 with *err when there is no time left: then it tells the
 * last failure.
 */
int retry_wait(struct job *job, unsigned attempt, int64_t asked_s, struct err *err);

#endif
