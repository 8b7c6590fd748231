/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_DIR_H
#define MODELBERTH_INITC_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/*
 * Directories on a volume. Names below a directory are opened so that no link
 * leads out of it: a serving container sees only its subPath, and a planted link must
 * not make initc write elsewhere.
 */

/* Entries that are looked at in one walk. */
#define DIR_MAX_ENTRIES 200000
#define DIR_MAX_DEPTH 64

/*
 * openat(2) below `at_fd`, O_CLOEXEC added. Returns a descriptor, or -1 with errno; EXDEV when a
 * link leads out of `at_fd`.
 */
int dir_open_beneath(int at_fd, const char *path, int flags, mode_t mode);

/*
 * Makes `path` below `at_fd` and what is missing above it, each with the
 * permissions of the directory it stands in: whoever may add a model there
 * may also add to this one. Returns 0, or -1 as err_errno().
 */
int dir_make(int at_fd, const char *path, struct err *err);

/* The directories above `path`, mode 0755. Returns 0, or -1 as err_errno(). */
int dir_make_parents(int at_fd, const char *path, struct err *err);

/* fsync of the directory `path` below `at_fd`. */
int dir_sync(int at_fd, const char *path, struct err *err);

/* Removes `path` and everything below it, as far as it can. Links are not followed. */
void dir_remove(int at_fd, const char *path);

/*
 * Walks below the directory `at_fd`: `visit` gets the path relative to it and
 * the type (DT_REG, DT_DIR, DT_LNK ...); what it returns other than 0 ends the walk. The
 * entries of each directory come sorted. What file systems put into their root is passed over.
 * Returns 0, what `visit` returned, or -1 with *err.
 */
typedef int dir_visit(void *context, const char *path, unsigned char type, struct err *err);
int dir_walk(int at_fd, dir_visit *visit, void *context, struct err *err);

/*
 * "'a', 'b/' and 3 more": what is in the directory, sorted, at most 20 names.
 * modelberth's own state is left out. The text is the caller's; "nothing" for an empty one.
 */
char *dir_describe(int at_fd);

/* Whether the directory holds anything but modelberth's state and what file systems put into their
 * root. */
bool dir_is_empty(int at_fd);

#endif
