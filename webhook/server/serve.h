/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_SERVE_H
#define MODELBERTH_SERVE_H

#include "common/err.h"
#include "webhook/config.h"
#include "webhook/options.h"

/*
 * `serve`: answers until SIGTERM or SIGINT, then drains: not ready, every
 * answer closes its connection, and after config->drain_s and the last request the end. A second
 * signal ends at once. Returns 0, or -1 with *err when it could not start.
 */
int serve_run(const struct options *options, const struct config *config, struct err *err);

#endif
