/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_VERIFY_H
#define MODELBERTH_INITC_VERIFY_H

#include "job.h"
#include "manifest.h"

/* A directory against a list of files. Files that the list does not have are left alone. */

/*
 * Sizes and times. A file of the right size with another time is hashed, and only then judged.
 * Finds accidents; whoever may write to the volume can also set times and write receipts.
 *
 * rehashed  how many had to be hashed; may be NULL
 *
 * Returns 0, or -1 with ERR_INTEGRITY naming the first file that differs.
 */
int verify_quick(int at_fd, const struct manifest *files, struct job *job, size_t *rehashed,
                 struct err *err);

/*
 * Every byte, on all processors. Returns 0, or -1 with ERR_INTEGRITY naming a file with expected
 * and actual digest. A file without digest gets the one it has, and `unverified`.
 */
int verify_full(int at_fd, struct manifest *files, struct job *job, struct err *err);

/*
 * Before a publish was finished: files that are there must be right and become `present`; missing
 * ones are no error.
 */
int verify_present(int at_fd, struct manifest *files, struct job *job, struct err *err);

#endif
