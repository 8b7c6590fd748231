/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "pool.h"
#include "transfer.h"

/* A volume is not filled to its last block: receipts, locks and directories need some too. */
#define SPARE_BYTES (1024 * 1024)

struct fetch {
    struct source *source;
    const struct staging *staging;
    struct manifest_file **order; /* largest first: a long one begun last would be waited for */
    struct source_reader readers[POOL_MAX_THREADS];
    atomic_uint_fast64_t fetched;
};

static int by_size(const void *a, const void *b)
{
    const struct manifest_file *x = *(struct manifest_file *const *)a;
    const struct manifest_file *y = *(struct manifest_file *const *)b;

    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y;
}

static int check_space(const struct staging *staging, uint64_t missing, const char *what,
                       struct err *err)
{
    char need[32], there[32];
    struct statvfs fs;

    /* some network volumes say that they have no blocks at all: then only writing tells */
    if (fstatvfs(staging->fd, &fs) || !fs.f_blocks)
        return 0;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (missing + SPARE_BYTES <= free_bytes)
        return 0;
    return err_set(
        err, ERR_NOSPACE,
        "'%.200s' needs %s more and the volume has %s: enlarge the claim, or remove what "
        "is not needed",
        what, progress_bytes(missing, need), progress_bytes(free_bytes, there));
}

static int work(void *context, unsigned thread, size_t item, struct err *err)
{
    struct fetch *f = context;

    return transfer_file(f->source, &f->readers[thread], f->staging, f->order[item], &f->fetched,
                         err);
}

int fetch_all(struct source *source, struct manifest *manifest, const struct staging *staging,
              uint64_t *fetched, struct err *err)
{
    autofree struct fetch *f = xcalloc(1, sizeof *f);
    autofree struct manifest_file **order = xcalloc(manifest->n + 1, sizeof *order);
    size_t n = 0;
    uint64_t bytes = 0;

    for (size_t i = 0; i < manifest->n; i++) {
        if (manifest->files[i].present)
            continue;
        order[n++] = &manifest->files[i];
        bytes += manifest->files[i].size;
    }
    qsort(order, n, sizeof *order, by_size);
    uint64_t found = staging_found_bytes(staging, manifest);
    if (check_space(staging, bytes > found ? bytes - found : 0, source->id->source, err))
        return -1;
    f->source = source;
    f->staging = staging;
    f->order = order;
    progress_phase(source->job->progress, "downloading", bytes, n);
    int rc = pool_run(source->job, n, source->job->connections, work, f, err);
    for (size_t i = 0; i < POOL_MAX_THREADS; i++)
        source_reader_release(&f->readers[i]);
    *fetched = atomic_load(&f->fetched);
    return rc;
}
