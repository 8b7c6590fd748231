/* SPDX-License-Identifier: Apache-2.0 */
#include "show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "progress.h"
#include "receipt.h"

static void print_list(const char *name, const struct strlist *list)
{
    for (size_t i = 0; i < list->n; i++)
        (void)printf("%-11s%s\n", i ? "" : name, list->v[i]);
}

static void print_table(const struct receipt *r)
{
    char bytes[32], digest[DIGEST_TEXT_BYTES];
    size_t unverified = receipt_unverified(r);

    (void)printf("source     %s\n", r->source);
    (void)printf("version    %s\n", *r->version ? r->version : "(none asked)");
    (void)printf("revision   %s\n", *r->revision ? r->revision : "(none)");
    print_list("include", &r->include);
    print_list("exclude", &r->exclude);
    (void)printf("%-11s%s by %s\n", r->how, r->time, r->tool);
    (void)printf("files      %zu, %s (%llu bytes)\n", r->files.n,
                 progress_bytes(r->files.bytes, bytes), (unsigned long long)r->files.bytes);
    if (unverified)
        (void)printf("warning    no source vouches for %zu of them\n", unverified);
    (void)printf("\n%15s  %-72s %s\n", "BYTES", "DIGEST", "PATH");
    for (size_t i = 0; i < r->files.n; i++) {
        const struct manifest_file *f = &r->files.files[i];
        (void)printf("%15llu  %-72s %s%s\n", (unsigned long long)f->size,
                     digest_format(&f->digest, digest), f->path,
                     f->unverified ? "  (unverified)" : "");
    }
}

int show(const char *dir, bool json, struct err *err)
{
    receipt_auto struct receipt receipt = {0};
    autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, errno, "cannot open '%s'", dir);
    int found = receipt_load(fd, &receipt, err);
    if (found < 0)
        return err_wrap(err, "'%s'", dir);
    if (!found)
        return err_set(err, ERR_MISSING, "'%.300s' has no receipt: modelberth has not filled it",
                       dir);
    if (json) {
        autofree char *text = receipt_format(&receipt);
        (void)fputs(text, stdout);
    } else {
        print_table(&receipt);
    }
    if (fflush(stdout))
        return err_errno(err, errno, "cannot write to standard output");
    return 0;
}
