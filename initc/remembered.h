/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_REMEMBERED_H
#define MODELBERTH_INITC_REMEMBERED_H

#include "common/err.h"

/*
 * A source that said no is not asked again for five minutes, so that a pod in
 * a crash loop does not hammer it. It is remembered in <state>/<key>.failed, with a
 * stamp of the credentials: a corrected Secret is tried at once.
 */
#define REMEMBERED_S 300

/* Returns 0, or -1 with the remembered *err, which says that and for how long. */
int remembered_check(int state_fd, const char *key, const char *credentials, struct err *err);

/* Keeps ERR_INTEGRITY and ERR_SOURCE; forgets on others and on NULL. Where it cannot write, it does
 * not. */
void remembered_store(int state_fd, const char *key, const char *credentials,
                      const struct err *err);

#endif
