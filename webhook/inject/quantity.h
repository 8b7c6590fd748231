/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_QUANTITY_H
#define MODELBERTH_QUANTITY_H

#include <stdint.h>

#include "common/err.h"

/*
 * Kubernetes resource quantities ("500m", "1.5", "128Mi"), as far as cpu and
 * memory need them: decimal numbers with a decimal or binary suffix, no exponents.
 */

/* Parses into thousandths of the base unit. Returns 0, or -1 with ERR_INPUT. */
int quantity_parse(const char *text, int64_t *milli, struct err *err);

/*
 * The spelling that the API server gives the quantity when it stores it ("0.5"
 * is "500m", "1024Mi" is "1Gi"), so that what we write comes back unchanged.
 *
 * out  the caller's to free
 */
int quantity_canonical(const char *text, char **out, struct err *err);

#endif
