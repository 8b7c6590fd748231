/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "dir.h"
#include "fetch.h"
#include "lock.h"
#include "publish.h"
#include "receipt.h"
#include "remembered.h"
#include "settle.h"
#include "source/source.h"
#include "staging.h"
#include "verify.h"

#define TIMES_DEPOSED_MAX 16

struct delivery {
    struct settling settling;
    const struct plan_model *model;
    struct layout *layout;
    const struct identity *id;
    struct job *job;
    struct outcome *out;
    struct lock lock;
    int state_fd;
    bool from_source; /* the failure, if there is one, is what the source brought */
};

static void copy_list(struct strlist *to, const struct strlist *from)
{
    for (size_t i = 0; i < from->n; i++)
        strlist_add(to, from->v[i]);
}

static char *time_text(void)
{
    char text[32];
    time_t now = time(NULL);
    struct tm tm;

    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    return xstrdup(text);
}

/* Takes what `files` owns. */
static void make_receipt(struct receipt *r, const struct delivery *d, const struct source *source,
                         const char *how, struct manifest *files)
{
    r->source = xstrdup(d->id->source);
    r->version = xstrdup(d->id->version);
    r->revision = xstrdup(source->revision);
    r->how = xstrdup(how);
    r->tool = xstrdup("modelberth-initc " MODELBERTH_VERSION);
    r->time = time_text();
    copy_list(&r->include, &d->id->include);
    copy_list(&r->exclude, &d->id->exclude);
    r->files = *files;
    memset(files, 0, sizeof *files);
}

static void succeed(struct delivery *d, const char *how, const struct receipt *r)
{
    d->out->how = how;
    d->out->bytes = r->files.bytes;
    d->out->files = r->files.n;
    d->out->unverified = receipt_unverified(r);
    (void)snprintf(d->out->revision, sizeof d->out->revision, "%s", r->revision);
}

/* Files that somebody put there: every byte against the source, and nothing is touched. */
static int adopt(struct delivery *d, const struct source *source, int fd, struct manifest *files,
                 struct err *err)
{
    receipt_auto struct receipt receipt = {0};
    struct err unwritten;

    if (verify_full(fd, files, d->job, err)) {
        if (err->kind != ERR_INTEGRITY)
            return -1;
        return err_set(err, ERR_INTEGRITY,
                       "'%.250s' is filled, without receipt, and is not what '%.250s' has: %.400s; "
                       "nothing was touched: move the directory away or use another path",
                       d->layout->shown, d->id->source, err->msg);
    }
    make_receipt(&receipt, d, source, "adopted", files);
    if (d->model->read_only || receipt_store(fd, &receipt, &unwritten))
        (void)snprintf(d->out->warning, sizeof d->out->warning,
                       "no receipt could be written, so every start reads every byte");
    succeed(d, "adopted", &receipt);
    return 0;
}

/* Returns 1 published, 0 somebody else was first, -1 with *err. */
static int download(struct delivery *d, struct source *source, struct manifest *files,
                    struct err *err)
{
    receipt_auto struct receipt receipt = {0};
    staging_auto struct staging staging = STAGING_INIT;

    if (staging_open(&staging, d->state_fd, d->id->key, d->lock.nonce, source->revision, err))
        return -1;
    if (publish_is_unfinished(d->layout, d->id->key) &&
        verify_present(d->layout->parent_fd, files, d->job, err))
        return -1;
    d->from_source = true;
    if (fetch_all(source, files, &staging, &d->out->fetched, err))
        return -1;
    d->from_source = false;
    make_receipt(&receipt, d, source, source->ops->how, files);
    int published = publish(d->layout, &staging, &d->lock, &receipt, err);
    if (published < 0)
        return -1;
    staging_remove(&staging);
    if (published)
        succeed(d, source->ops->how, &receipt);
    return published;
}

/* After publishing found that something stands there. */
static int look_again(struct delivery *d, struct err *err)
{
    int settled = settle(&d->settling, err);

    if (settled == 1)
        d->out->how = "waited for another";
    if (settled)
        return settled < 0 ? -1 : 0;
    return err_set(err, ERR_INTEGRITY,
                   "something else was put at '%.300s' while the model was downloaded; it is left "
                   "untouched",
                   d->layout->shown);
}

/* As owner of the lock, or alone on a volume that cannot be written. */
static int bring(struct delivery *d, struct err *err)
{
    source_auto struct source source = {.dir_fd = -1};
    manifest_auto struct manifest files = {0};
    autoclose int fd = -1;

    d->from_source = true;
    if (source_open(&source, d->id, d->model, d->job, err) || source_resolve(&source, &files, err))
        return -1;
    d->from_source = false;
    int there = layout_open_model(d->layout, &fd, err);
    if (there < 0)
        return -1;
    bool filled = there && !dir_is_empty(fd) && !publish_is_unfinished(d->layout, d->id->key);
    if (filled)
        return adopt(d, &source, fd, &files, err);
    if (d->model->read_only)
        return layout_missing(d->layout, err);
    /* what an adoption that was cut left: rename replaces only an empty directory */
    if (there && !d->layout->is_root)
        (void)unlinkat(fd, LAYOUT_STATE, AT_REMOVEDIR);
    int published = download(d, &source, &files, err);
    if (published)
        return published < 0 ? -1 : 0;
    return look_again(d, err);
}

static int is_settled(void *context, struct err *err)
{
    struct delivery *d = context;

    return settle(&d->settling, err);
}

/* Returns 1 when it has to be tried again, 0, or -1 with *err. */
static int bring_locked(struct delivery *d, struct err *err)
{
    int deposed = JOB_DEPOSED;
    int owned = lock_acquire(&d->lock, d->job, d->state_fd, d->id->key, is_settled, d, err);

    if (owned < 0)
        return -1;
    if (!owned) {
        d->out->how = "waited for another";
        return 0;
    }
    int settled = settle(&d->settling, err); /* the last owner may have finished just now */
    int rc = settled < 0 ? -1 : settled ? 0 : bring(d, err);
    if (settled == 1)
        d->out->how = "waited for another";
    lock_release(&d->lock);
    if (atomic_compare_exchange_strong(d->job->stop, &deposed, JOB_GO) && rc)
        return 1;
    return rc;
}

static int bring_as_one_of_many(struct delivery *d, struct err *err)
{
    int rc = 1;

    if (layout_prepare(d->layout, err))
        return -1;
    autoclose int state_fd =
        openat(d->layout->parent_fd, LAYOUT_STATE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (state_fd < 0)
        return err_errno(err, errno, "cannot open '%s' beside '%s'", LAYOUT_STATE,
                         d->layout->shown);
    d->state_fd = state_fd;
    if (remembered_check(state_fd, d->id->key, d->model->credentials, err))
        return -1;
    for (int i = 0; rc == 1 && i < TIMES_DEPOSED_MAX; i++) {
        d->from_source = false;
        rc = bring_locked(d, err);
    }
    if (rc && d->from_source)
        remembered_store(state_fd, d->id->key, d->model->credentials, err);
    else if (!rc)
        remembered_store(state_fd, d->id->key, d->model->credentials, NULL);
    return rc ? -1 : 0;
}

static int run(struct delivery *d, struct err *err)
{
    int settled = settle(&d->settling, err);

    if (settled)
        return settled < 0 ? -1 : 0;
    return d->model->read_only ? bring(d, err) : bring_as_one_of_many(d, err);
}

int deliver(const struct plan_model *model, struct job *job, struct outcome *out, struct err *err)
{
    layout_auto struct layout layout = LAYOUT_INIT;
    identity_auto struct identity id = {0};
    bool has_source = *model->source != '\0';
    struct delivery d = {
        .model = model, .layout = &layout, .id = &id, .job = job, .out = out, .state_fd = -1};

    memset(out, 0, sizeof *out);
    progress_title(job->progress, *model->source ? model->source : model->path);
    if (layout_open(&layout, model, err))
        return -1;
    if (has_source && identity_init(&id, model, layout.name, err))
        return -1;
    d.settling =
        (struct settling){.layout = &layout, .id = has_source ? &id : NULL, .job = job, .out = out};
    if (!run(&d, err))
        return 0;
    return layout_explain_permission(&layout, err);
}
