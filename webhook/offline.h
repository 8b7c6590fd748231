/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_OFFLINE_H
#define MODELBERTH_OFFLINE_H

#include "common/err.h"
#include "webhook/config.h"
#include "webhook/options.h"

/*
 * `inject -f`: the admission server's mutation on a file of YAML documents. Documents that are not
 * changed are written as they are, byte for byte.
 *
 * Returns 0, or -1 with *err; nothing is written then.
 */
int offline_inject(const struct options *options, const struct config *config, struct err *err);

#endif
