/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/duration.h"
#include "common/xalloc.h"
#include "pool.h"
#include "report.h"

#define CONNECTIONS_DEFAULT 4
#define RANGE_DEFAULT_BYTES (256LL * 1024 * 1024)
#define STALL_DEFAULT_S 60
#define LOCK_TIMEOUT_DEFAULT_S 90
#define HINT_DISTANCE_MAX 4

static int set_text(char **member, const char *value)
{
    plan_set(member, value);
    return 0;
}

static int set_whole(int64_t *out, const char *value, int64_t min, int64_t max, struct err *err)
{
    char *end;

    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (errno || end == value || *end || n < min || n > max)
        return err_set(err, ERR_INPUT, "'%.40s' is not a number from %lld to %lld", value,
                       (long long)min, (long long)max);
    *out = n;
    return 0;
}

static int set_bytes(int64_t *out, const char *value, struct err *err)
{
    static const char units[] = "KMGT";
    size_t n = strlen(value);
    const char *unit = n > 1 ? strchr(units, value[n - 1]) : NULL;
    autofree char *digits = xstrndup(value, unit ? n - 1 : n);
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    int64_t number;

    if (set_whole(&number, digits, 1, INT64_MAX >> shift, err) || number << shift < 1024)
        return err_set(err, ERR_INPUT, "'%.40s' is not a size from 1K such as 64M or 1G", value);
    *out = number << shift;
    return 0;
}

static int set_to(struct options *o, const char *v, struct err *err)
{
    (void)err;
    return set_text(&o->dir, v);
}

static int set_version(struct options *o, const char *v, struct err *err)
{
    (void)err;
    return set_text(&o->model->version, v);
}

static int set_verify(struct options *o, const char *v, struct err *err)
{
    return verify_mode_parse(v, &o->model->verify, err);
}

static int set_mode(struct options *o, const char *v, struct err *err)
{
    if (verify_mode_parse(v, &o->mode, err))
        return -1;
    if (o->mode != VERIFY_OFF)
        return 0;
    return err_set(err, ERR_INPUT, "'off' verifies nothing");
}

static int set_include(struct options *o, const char *v, struct err *err)
{
    (void)err;
    strlist_split(&o->model->include, v);
    return 0;
}

static int set_exclude(struct options *o, const char *v, struct err *err)
{
    (void)err;
    strlist_split(&o->model->exclude, v);
    return 0;
}

static int set_credentials(struct options *o, const char *v, struct err *err)
{
    (void)err;
    return set_text(&o->model->credentials, v);
}

static int set_timeout(struct options *o, const char *v, struct err *err)
{
    o->timeout_given = true;
    if (duration_parse(v, &o->plan.timeout_s, err))
        return -1;
    if (o->plan.timeout_s <= PLAN_MAX_TIMEOUT_S)
        return 0;
    return err_set(err, ERR_INPUT, "'%.40s' is longer than 7 days", v);
}

static int set_connections(struct options *o, const char *v, struct err *err)
{
    return set_whole(&o->connections, v, 1, POOL_MAX_THREADS, err);
}

static int set_range(struct options *o, const char *v, struct err *err)
{
    return set_bytes(&o->range_bytes, v, err);
}

static int set_stall(struct options *o, const char *v, struct err *err)
{
    return duration_parse(v, &o->stall_s, err);
}

static int set_lock_timeout(struct options *o, const char *v, struct err *err)
{
    return duration_parse(v, &o->lock_timeout_s, err);
}

static int set_claims(struct options *o, const char *v, struct err *err)
{
    (void)err;
    return set_text(&o->claims_dir, v);
}

static int set_termination(struct options *o, const char *v, struct err *err)
{
    (void)err;
    return set_text(&o->termination_log, v);
}

static int set_json(struct options *o, const char *v, struct err *err)
{
    (void)v;
    (void)err;
    o->json = true;
    return 0;
}

static int set_help(struct options *o, const char *v, struct err *err)
{
    (void)v;
    (void)err;
    o->help = true;
    return 0;
}

#define ALL (COMMAND_FETCH | COMMAND_VERIFY | COMMAND_SHOW)

static const struct row {
    const char *name;
    const char *value; /* NULL: a switch */
    const char *variable;
    unsigned commands;
    bool describes_model; /* makes no sense beside a plan */
    int (*set)(struct options *o, const char *value, struct err *err);
    const char *help;
} rows[] = {
    {"--to", "DIR", NULL, COMMAND_FETCH, true, set_to, "the model's directory"},
    {"--version", "VERSION", NULL, COMMAND_FETCH, true, set_version,
     "pin where the source carries none: a branch, tag or commit; sha256=<hex>"},
    {"--verify", "MODE", NULL, COMMAND_FETCH, true, set_verify,
     "auto, quick, full, structure or off (auto)"},
    {"--include", "GLOBS", NULL, COMMAND_FETCH, true, set_include,
     "only files that match one of these, comma-separated; may be repeated"},
    {"--exclude", "GLOBS", NULL, COMMAND_FETCH, true, set_exclude,
     "no files that match one of these"},
    {"--credentials", "DIR", NULL, COMMAND_FETCH, true, set_credentials,
     "directory with one file per key, such as HF_TOKEN (a mounted Secret)"},
    {"--timeout", "DURATION", NULL, COMMAND_FETCH, false, set_timeout,
     "for all of it, waiting and retries included (1h)"},
    {"--connections", "N", "MODELBERTH_CONNECTIONS", COMMAND_FETCH, false, set_connections,
     "files fetched at the same time (4)"},
    {"--range-size", "SIZE", "MODELBERTH_RANGE_SIZE", COMMAND_FETCH, false, set_range,
     "bytes asked for in one request (256M)"},
    {"--stall-timeout", "DURATION", "MODELBERTH_STALL_TIMEOUT", COMMAND_FETCH, false, set_stall,
     "cut a transfer that brings no byte for so long, and try again (60s)"},
    {"--lock-timeout", "DURATION", "MODELBERTH_LOCK_TIMEOUT", COMMAND_FETCH, false,
     set_lock_timeout, "take over from another download that shows no life for so long (90s)"},
    {"--claims-dir", "DIR", "MODELBERTH_CLAIMS_DIR", COMMAND_FETCH, false, set_claims,
     "where claims are mounted, for pvc:// sources (" PLAN_CLAIMS_DIR ")"},
    {"--mode", "MODE", NULL, COMMAND_VERIFY, false, set_mode,
     "quick, full or structure (quick where there is a receipt, else structure)"},
    {"--json", NULL, NULL, COMMAND_SHOW, false, set_json, "the receipt as it is"},
    {"--termination-log", "FILE", "MODELBERTH_TERMINATION_LOG", COMMAND_FETCH | COMMAND_VERIFY,
     false, set_termination,
     "where a failure is explained, if the file exists (" TERMINATION_LOG ")"},
    {"--help", NULL, NULL, ALL, false, set_help, "this text"},
};

#define ROWS (sizeof rows / sizeof *rows)

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return c < least ? c : least;
}

/* How many letters one would have to change, add or drop. */
static size_t distance(const char *a, const char *b)
{
    size_t line[64];
    size_t n = strlen(b);

    if (n >= 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        line[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = line[0];
        line[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t above = line[j + 1];
            line[j + 1] = min3(above + 1, line[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return line[n];
}

static int unknown_flag(const char *name, enum command command, struct err *err)
{
    const char *closest = "--help";
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < ROWS; i++) {
        size_t d = rows[i].commands & command ? distance(name, rows[i].name) : SIZE_MAX;
        if (d < best) {
            best = d;
            closest = rows[i].name;
        }
    }
    if (best > HINT_DISTANCE_MAX)
        return err_set(err, ERR_INPUT, "unknown flag '%.60s'; --help lists all", name);
    return err_set(err, ERR_INPUT, "unknown flag '%.60s'; did you mean '%s'? --help lists all",
                   name, closest);
}

static const struct row *find(const char *name, enum command command)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].commands & command && !strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static int read_environment(struct options *o, enum command command, struct err *err)
{
    for (size_t i = 0; i < ROWS; i++) {
        const char *value = rows[i].variable ? getenv(rows[i].variable) : NULL;
        if (value && *value && rows[i].commands & command && rows[i].set(o, value, err))
            return err_wrap(err, "%s", rows[i].variable);
    }
    return 0;
}

static int positional(struct options *o, enum command command, const char *text, struct err *err)
{
    char **member = command == COMMAND_FETCH ? &o->source : &o->dir;

    if (*member)
        return err_set(err, ERR_INPUT, "unexpected argument '%.100s'", text);
    return set_text(member, text);
}

/* One flag at argv[*i], its value perhaps in the next argument. */
static int flag(struct options *o, enum command command, int argc, char **argv, int *i,
                const char **about_model, struct err *err)
{
    const char *equals = strchr(argv[*i], '=');
    autofree char *name =
        equals ? xstrndup(argv[*i], (size_t)(equals - argv[*i])) : xstrdup(argv[*i]);
    const struct row *row = find(name, command);
    const char *value = equals ? equals + 1 : NULL;

    if (!row)
        return unknown_flag(name, command, err);
    if (!row->value && value)
        return err_set(err, ERR_INPUT, "%s takes no value", row->name);
    if (row->value && !value) {
        if (*i + 1 >= argc)
            return err_set(err, ERR_INPUT, "%s needs a value: %s %s", row->name, row->name,
                           row->value);
        value = argv[++*i];
    }
    if (row->describes_model)
        *about_model = row->name;
    return row->set(o, value, err) ? err_wrap(err, "%s", row->name) : 0;
}

static void set_defaults(struct options *o, enum command command)
{
    memset(o, 0, sizeof *o);
    o->connections = CONNECTIONS_DEFAULT;
    o->range_bytes = RANGE_DEFAULT_BYTES;
    o->stall_s = STALL_DEFAULT_S;
    o->lock_timeout_s = LOCK_TIMEOUT_DEFAULT_S;
    o->plan.timeout_s = PLAN_DEFAULT_TIMEOUT_S;
    o->mode = VERIFY_AUTO;
    plan_set(&o->claims_dir, PLAN_CLAIMS_DIR);
    plan_set(&o->termination_log, TERMINATION_LOG);
    if (command == COMMAND_FETCH)
        o->model = plan_add(&o->plan);
}

static int check(const struct options *o, enum command command, const char *about_model,
                 struct err *err)
{
    if (o->help)
        return 0;
    if (command != COMMAND_FETCH)
        return o->dir ? 0 : err_set(err, ERR_INPUT, "a directory expected");
    if (o->source && !o->dir)
        return err_set(err, ERR_INPUT, "fetch SOURCE needs --to DIR");
    if (!o->source && about_model)
        return err_set(err, ERR_INPUT, "%s needs a SOURCE: fetch SOURCE --to DIR", about_model);
    return 0;
}

int options_parse(struct options *out, enum command command, int argc, char **argv, struct err *err)
{
    const char *about_model = NULL;

    set_defaults(out, command);
    if (read_environment(out, command, err))
        return -1;
    for (int i = 0; i < argc; i++) {
        bool is_flag = argv[i][0] == '-' && argv[i][1];
        if (is_flag ? flag(out, command, argc, argv, &i, &about_model, err)
                    : positional(out, command, argv[i], err))
            return -1;
    }
    return check(out, command, about_model, err);
}

void options_print(FILE *out, enum command command)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (!(r->commands & command))
            continue;
        autofree char *name =
            xasprintf("%s%s%s", r->name, r->value ? " " : "", r->value ? r->value : "");
        (void)fprintf(out, "  %-27s %s\n", name, r->help);
        if (r->variable)
            (void)fprintf(out, "  %-27s   also $%s\n", "", r->variable);
    }
}

void options_release(struct options *o)
{
    free(o->source);
    free(o->dir);
    free(o->claims_dir);
    free(o->termination_log);
    plan_release(&o->plan);
}
