/* SPDX-License-Identifier: Apache-2.0 */
#include "settle.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "dir.h"
#include "publish.h"
#include "receipt.h"
#include "structure.h"
#include "verify.h"

#define WAY_OUT                                                                                    \
    "move the directory away to have it downloaded again, or restore it from where it came"

static void count(struct outcome *out, const struct receipt *r)
{
    out->bytes = r->files.bytes;
    out->files = r->files.n;
    out->unverified = receipt_unverified(r);
    (void)snprintf(out->revision, sizeof out->revision, "%s", r->revision);
}

static int check_structure(struct settling *s, int fd, struct err *err)
{
    size_t files = 0;

    if (structure_check(fd, s->job, &files, err))
        return -1;
    s->out->how = "structure checked";
    s->out->files = files;
    (void)snprintf(s->out->warning, sizeof s->out->warning,
                   "nobody vouches for the content: only headers and lengths were checked; give a "
                   "source to pin it");
    return 1;
}

static int not_verified(struct settling *s)
{
    s->out->how = "not verified";
    (void)snprintf(s->out->warning, sizeof s->out->warning, "verify is off: nothing was checked");
    return 1;
}

static int check_receipt(struct settling *s, int fd, struct receipt *r, struct err *err)
{
    int rc = 0;

    if (s->id && receipt_check(r, s->id, err))
        return -1;
    count(s->out, r);
    switch (s->layout->model->verify) {
    case VERIFY_OFF:
        return not_verified(s);
    case VERIFY_STRUCTURE:
        return check_structure(s, fd, err);
    case VERIFY_FULL:
        rc = verify_full(fd, &r->files, s->job, err);
        s->out->how = "verified every byte";
        break;
    case VERIFY_AUTO:
    case VERIFY_QUICK:
        rc = verify_quick(fd, &r->files, s->job, &s->out->rehashed, err);
        s->out->how = "already verified";
        break;
    }
    if (!rc)
        return 1;
    if (err->kind == ERR_INTEGRITY)
        (void)err_set(err, ERR_INTEGRITY, "%.700s; %s", err->msg, WAY_OUT);
    return -1;
}

static int without_receipt(struct settling *s, int fd, struct err *err)
{
    enum verify_mode mode = s->layout->model->verify;

    if (dir_is_empty(fd)) {
        if (s->id)
            return 0;
        return err_set(err, ERR_MISSING,
                       "'%.300s' is empty: correct the path, or give a source to download from",
                       s->layout->shown);
    }
    if (s->id && publish_is_unfinished(s->layout, s->id->key))
        return 0;
    if (mode == VERIFY_OFF)
        return not_verified(s);
    if (mode == VERIFY_STRUCTURE || (mode == VERIFY_AUTO && !s->id))
        return check_structure(s, fd, err);
    if (s->id)
        return 0;
    return err_set(err, ERR_MISSING,
                   "'%.300s' has no receipt, so verify %s has nothing to compare with: use "
                   "structure, or give the source that it came from",
                   s->layout->shown, verify_mode_name(mode));
}

static int single_file(struct settling *s, int fd, struct err *err)
{
    if (s->id)
        return err_set(err, ERR_MISSING,
                       "'%.300s' is a file; a source is delivered to a directory: correct the path",
                       s->layout->shown);
    if (s->layout->model->verify == VERIFY_OFF)
        return not_verified(s);
    if (structure_check_file(fd, s->layout->shown, err))
        return -1;
    s->out->how = "structure checked";
    s->out->files = 1;
    return 1;
}

int settle(struct settling *s, struct err *err)
{
    receipt_auto struct receipt receipt = {0};
    autoclose int fd = -1;
    struct stat st;

    int there = layout_open_model(s->layout, &fd, err);
    if (there < 0)
        return -1;
    if (!there)
        return s->id ? 0 : layout_missing(s->layout, err);
    if (fstat(fd, &st) || !S_ISDIR(st.st_mode))
        return single_file(s, fd, err);
    int found = receipt_load(fd, &receipt, err);
    if (found < 0)
        return -1;
    return found ? check_receipt(s, fd, &receipt, err) : without_receipt(s, fd, err);
}
