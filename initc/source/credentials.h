/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_CREDENTIALS_H
#define MODELBERTH_INITC_CREDENTIALS_H

#include "common/err.h"

/*
 * Secrets come from files and the environment, never from arguments, and no message holds one.
 */

/*
 * The value `key`: the file of that name in `dir` (a mounted Secret; "" for none), else the
 * environment variable.
 *
 * out    the caller's, without surrounding white space; NULL where there is none
 * where  "file '<path>'" or "environment variable <key>", the caller's; with no value, where
 *        it was looked for
 *
 * Returns 0, or -1 with ERR_PERMISSION or ERR_INPUT when a value is there but cannot be used.
 */
int credentials_get(const char *dir, const char *key, char **out, char **where, struct err *err);

/* As above for one file; a missing one is no error. */
int credentials_read_file(const char *path, char **out, struct err *err);

/*
 * Changes when a Secret's files are replaced, added or removed, or a variable that sources look
 * at changes: a remembered failure then no longer counts. Hex; tells nothing about values.
 */
void credentials_stamp(const char *dir, char out[static 33]);

#endif
