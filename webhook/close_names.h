/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_CLOSE_NAMES_H
#define MODELBERTH_CLOSE_NAMES_H

#include "common/strlist.h"

/*
 * The names that somebody who wrote `name` may have meant, for a message: "'a' or
 * 'b'", at most three, "" when none is close. Names may be dotted paths: a right last part in the
 * wrong place is close too. The caller's to free.
 */
char *close_names(const char *name, const struct strlist *known);

/* All names: "'a', 'b', 'c'". The caller's to free. */
char *names_listed(const struct strlist *names);

#endif
