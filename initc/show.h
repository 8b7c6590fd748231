/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_SHOW_H
#define MODELBERTH_INITC_SHOW_H

#include <stdbool.h>

#include "common/err.h"

/* Prints the receipt of a directory on standard output. Returns 0, or -1 with *err. */
int show(const char *dir, bool json, struct err *err);

#endif
