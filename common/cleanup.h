/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_CLEANUP_H
#define MODELBERTH_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Ownership that ends with the scope. Every such variable is initialised where
 * it is declared:
 *
 *     autofree char *text = NULL;
 *     autoclose int fd = -1;
 *
 * take() hands the value to somebody else and leaves nothing to clean up.
 */
#define autofree __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))
#define autofclose __attribute__((cleanup(cleanup_fclose)))

/* clang-format off */
#define take(p) __extension__({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })
#define take_fd(fd) __extension__({ int taken_ = (fd); (fd) = -1; taken_; })
/* clang-format on */

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

#endif
