/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_STAGING_H
#define MODELBERTH_INITC_STAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/strlist.h"
#include "manifest.h"

/*
 * Where one owner builds a model before it is published: <state>/<key>/<nonce>/
 *
 *   tree/<path>     complete files, verified by this process; becomes the model by one rename
 *   parts/<name>    files on their way; the name stands for path, size, digest and revision
 *
 * What dead owners left is taken over by renaming their directory to <nonce>.<number>. Their
 * process may still live, frozen, with files open for writing: so nothing of theirs is used without
 * being read and hashed here, and a part, which they may have open, is copied. A complete file they
 * had closed before it got its name.
 */
struct staging {
    int state_fd; /* borrowed */
    int key_fd;   /* <state>/<key> */
    int fd;       /* <state>/<key>/<nonce> */
    char *key;
    char *nonce;
    char *revision;
    struct strlist taken; /* names in key_fd */
};

#define staging_auto __attribute__((cleanup(staging_release)))
#define STAGING_INIT                                                                               \
    {                                                                                              \
        .state_fd = -1, .key_fd = -1, .fd = -1                                                     \
    }
#define STAGING_TREE "tree"

/* Makes the directories and takes over what dead owners left. Returns 0, or -1 as err_errno(). */
int staging_open(struct staging *s, int state_fd, const char *key, const char *nonce,
                 const char *revision, struct err *err);

/* Name of a file's part; out is the caller's. */
char *staging_part_name(const struct staging *s, const struct manifest_file *file);

/*
 * Opens what a dead owner has of a file. `complete` is whether it stood in its tree.
 * out is the caller's: the path below key_fd. Returns a descriptor, or -1 for nothing.
 */
int staging_find(const struct staging *s, const struct manifest_file *file, bool complete,
                 char **out);

/* Bytes of dead owners' files that may not have to be fetched, for the space check. */
uint64_t staging_found_bytes(const struct staging *s, const struct manifest *manifest);

/* Removes it all, after publishing or when it is of no use. */
void staging_remove(struct staging *s);

/* Closes; the files stay, for the next owner. */
void staging_release(struct staging *s);

#endif
