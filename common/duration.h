/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_DURATION_H
#define MODELBERTH_DURATION_H

#include <stdint.h>

#include "err.h"

/*
 * "90s", "15m", "1h30m", or plain seconds: the part of Go's durations that
 * Kubernetes users write. Returns 0, or -1 with ERR_INPUT; zero is refused.
 */
int duration_parse(const char *text, int64_t *seconds, struct err *err);

#endif
