/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "exit.h"
#include "progress.h"

static char *place(const struct plan_model *m)
{
    return *m->path ? xasprintf("%s/%s", m->root, m->path) : xstrdup(m->root);
}

/* A URL's query may be a secret: signed links are. */
static char *shown_source(const struct plan_model *m)
{
    size_t n = strncmp(m->source, "https://", 8) ? strlen(m->source) : strcspn(m->source, "?#");

    return xstrndup(m->source, n);
}

static void add_details(struct strbuf *b, const struct outcome *o, int64_t ms)
{
    char bytes[32], fetched[32];

    strbuf_addf(b, "%s", o->how);
    if (o->bytes || o->files)
        strbuf_addf(b, ": %llu file%s", (unsigned long long)o->files, o->files == 1 ? "" : "s");
    if (o->bytes)
        strbuf_addf(b, ", %s", progress_bytes(o->bytes, bytes));
    if (o->fetched)
        strbuf_addf(b, " (%s fetched)", progress_bytes(o->fetched, fetched));
    if (ms < 10000)
        strbuf_addf(b, " in %lld ms", (long long)ms);
    else
        strbuf_addf(b, " in %lld.%lld s", (long long)ms / 1000, (long long)ms % 1000 / 100);
    if (o->rehashed)
        strbuf_addf(b, "; %zu with a changed time hashed again", o->rehashed);
    if (o->unverified)
        strbuf_addf(b, "; unverified: no source vouches for %zu of them", o->unverified);
}

void report_success(const struct plan_model *model, const struct outcome *o, int64_t ms,
                    bool terminal)
{
    strbuf_auto struct strbuf text = STRBUF_INIT(8192);
    autofree char *where = place(model);
    autofree char *source = shown_source(model);

    strbuf_adds(&text, *source ? source : where);
    if (*o->revision && !strstr(source, o->revision) && strcmp(model->version, o->revision) != 0)
        strbuf_addf(&text, " (%s)", o->revision);
    strbuf_adds(&text, ": ");
    add_details(&text, o, ms);
    if (terminal) {
        (void)printf("%s\n", strbuf_text(&text));
        if (*o->warning)
            (void)printf("warning: %s\n", o->warning);
        (void)fflush(stdout);
        return;
    }
    json_t *fields =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "how", o->how, "files",
                  (json_int_t)o->files, "bytes", (json_int_t)o->bytes, "fetchedBytes",
                  (json_int_t)o->fetched, "milliseconds", (json_int_t)ms, "path",
                  json_string_lossy(where), "revision", json_string_lossy(o->revision));
    if (*o->warning)
        json_object_set_new(fields, "warning", json_string_lossy(o->warning));
    json_auto_t *message = json_string_lossy(strbuf_text(&text));
    log_event(*o->warning ? LOG_WARN : LOG_INFO, json_string_value(message), fields);
}

static void add_where(struct strbuf *b, const struct plan_model *m)
{
    autofree char *where = place(m);
    autofree char *source = shown_source(m);

    strbuf_addf(b, "Model '%s'", *source ? source : where);
    if (*m->version)
        strbuf_addf(b, " version '%s'", m->version);
    if (*m->claim)
        strbuf_addf(b, " in claim '%s', path '%s'", m->claim, *m->path ? m->path : "/");
    else
        strbuf_addf(b, " at '%s'", where);
    if (*m->mount)
        strbuf_addf(b, ", mounted at '%s'", m->mount);
    strbuf_adds(b, ".\n");
}

static void write_termination(const char *path, const char *text, size_t len)
{
    autoclose int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
    struct err ignored;

    if (fd >= 0)
        (void)file_write_all(fd, path, text, len, &ignored);
}

int report_failure(const struct plan_model *model, const struct err *err, int exit_code,
                   const char *termination_log, bool terminal)
{
    strbuf_auto struct strbuf text = STRBUF_INIT(4 * TERMINATION_MAX_BYTES);
    size_t len;

    strbuf_addf(&text, "%s.\n", err->msg);
    if (model)
        add_where(&text, model);
    strbuf_addf(&text, "modelberth-initc " MODELBERTH_VERSION ", exit code %d: %s.\n", exit_code,
                exit_text(exit_code));
    if (terminal) {
        (void)fprintf(stderr, "modelberth-initc: %s", strbuf_text(&text));
    } else {
        json_t *fields = json_pack("{s:i}", "exitCode", exit_code);
        if (model) {
            autofree char *where = place(model);
            autofree char *source = shown_source(model);
            json_object_set_new(fields, "claim", json_string_lossy(model->claim));
            json_object_set_new(fields, "path", json_string_lossy(where));
            json_object_set_new(fields, "mount", json_string_lossy(model->mount));
            json_object_set_new(fields, "model", json_string_lossy(source));
        }
        json_object_set_new(fields, "error", json_string_lossy(err->msg));
        log_event(LOG_ERROR, "failed", fields);
    }
    len = strlen(strbuf_text(&text));
    if (len > TERMINATION_MAX_BYTES) {
        len = TERMINATION_MAX_BYTES;
        while (len && ((unsigned char)text.text[len] & 0xc0) == 0x80)
            len--; /* not in the middle of a character */
    }
    write_termination(termination_log, strbuf_text(&text), len);
    return exit_code;
}
