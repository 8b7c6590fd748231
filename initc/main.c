/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of modelberth-initc, each a row of a table. Errors become an exit code and a message
 * here and nowhere else.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "deliver.h"
#include "exit.h"
#include "job.h"
#include "options.h"
#include "place.h"
#include "report.h"
#include "show.h"

static _Atomic int stop_flag;

static int command_fetch(struct options *o);
static int command_verify(struct options *o);
static int command_show(struct options *o);

static const struct {
    const char *name;
    enum command command;
    int (*run)(struct options *o);
    const char *usage, *help;
} commands[] = {
    {"fetch", COMMAND_FETCH, command_fetch,
     "fetch\n       modelberth-initc fetch SOURCE --to DIR [FLAGS]",
     "bring models to their directories, verified; without arguments those of the plan in\n"
     "  $" PLAN_ENV},
    {"verify", COMMAND_VERIFY, command_verify, "verify DIR [--mode MODE]",
     "check a directory against its receipt, or its structure without one"},
    {"show", COMMAND_SHOW, command_show, "show DIR [--json]",
     "print the receipt of a directory: files, sizes, digests, revision"},
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
    (void)fputs(
        "usage: modelberth-initc COMMAND [FLAGS]\n\n"
        "Makes sure that a directory holds the model that is pinned, downloading it where it "
        "is not there.\n\ncommands (each has --help):\n",
        out);
    for (size_t i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    (void)fputs(
        "\nflags:\n  --help, --version\n\nsources:\n"
        "  hf://[datasets/]org/name[@revision][/path]   $HF_ENDPOINT and $HF_TOKEN are honoured\n"
        "  https://host/path#sha256=<hex>               one file\n"
        "  pvc://claim/path                             a copy from another claim\n"
        "\nexit codes:\n",
        out);
    exit_print_table(out);
}

static void on_signal(int signal)
{
    int go = JOB_GO;

    (void)atomic_compare_exchange_strong(&stop_flag, &go, signal);
}

static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

static int exit_code(const struct err *err)
{
    switch (atomic_load(&stop_flag)) {
    case JOB_SIGINT:
        return EXIT_CODE_SIGINT;
    case JOB_SIGTERM:
        return EXIT_CODE_SIGTERM;
    default:
        return exit_code_of(err->kind);
    }
}

static bool on_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && (!term || strcmp(term, "dumb") != 0);
}

/* Each model of the plan, until one fails. */
static int deliver_all(const struct plan *plan, struct options *o)
{
    struct progress progress = {0};
    struct job job = {
        .deadline_ms = job_now_ms() + plan->timeout_s * 1000,
        .stall_s = o->stall_s,
        .lock_timeout_s = o->lock_timeout_s,
        .range_bytes = o->range_bytes,
        .connections = (unsigned)o->connections,
        .claims_dir = o->claims_dir,
        .stop = &stop_flag,
        .progress = &progress,
    };
    bool terminal = on_terminal();
    struct err err = {0};

    for (size_t i = 0; i < plan->n_models; i++) {
        struct outcome outcome;
        int64_t began_ms = job_now_ms();
        progress_start(&progress, terminal);
        int rc = deliver(&plan->models[i], &job, &outcome, &err);
        progress_end(&progress);
        if (rc)
            return report_failure(&plan->models[i], &err, exit_code(&err), o->termination_log,
                                  terminal);
        report_success(&plan->models[i], &outcome, job_now_ms() - began_ms, terminal);
    }
    return EXIT_CODE_OK;
}

static int bad_plan(const struct options *o, const struct err *err)
{
    return report_failure(NULL, err, EXIT_CODE_USAGE, o->termination_log, on_terminal());
}

static int fetch_from_plan(struct options *o)
{
    plan_auto struct plan plan = {0};
    const char *text = getenv(PLAN_ENV);
    struct err err = {0};

    if (!text || !*text) {
        (void)err_set(&err, ERR_INPUT,
                      "there is no plan in $" PLAN_ENV
                      "; on the command line: fetch SOURCE --to DIR");
        return bad_plan(o, &err);
    }
    if (plan_parse(text, &plan, &err))
        return bad_plan(o, &err);
    if (o->timeout_given)
        plan.timeout_s = o->plan.timeout_s;
    return deliver_all(&plan, o);
}

/* Flags give paths as people write them; formatting and parsing the plan applies its rules. */
static int plan_of_flags(struct options *o, struct plan *out, struct err *err)
{
    autofree char *text = NULL;
    char *credentials = *o->model->credentials ? realpath(o->model->credentials, NULL) : NULL;

    plan_set(&o->model->source, o->source);
    if (*o->model->credentials) {
        if (!credentials)
            return err_set(err, ERR_INPUT, "--credentials: there is no directory '%.200s'",
                           o->model->credentials);
        plan_set(&o->model->credentials, credentials);
        free(credentials);
    }
    if (place_model(o->model, o->dir, err) || plan_format(&o->plan, &text, err))
        return -1;
    return plan_parse(text, out, err);
}

static int command_fetch(struct options *o)
{
    plan_auto struct plan plan = {0};
    struct err err = {0};

    if (!o->source)
        return fetch_from_plan(o);
    if (plan_of_flags(o, &plan, &err))
        return report_failure(NULL, &err, exit_code_of(err.kind), o->termination_log,
                              on_terminal());
    return deliver_all(&plan, o);
}

static int command_verify(struct options *o)
{
    plan_auto struct plan plan = {.timeout_s = PLAN_MAX_TIMEOUT_S};
    struct plan_model *model = plan_add(&plan);
    struct err err = {0};

    model->verify = o->mode;
    if (place_model(model, o->dir, &err))
        return report_failure(NULL, &err, exit_code_of(err.kind), o->termination_log,
                              on_terminal());
    return deliver_all(&plan, o);
}

static int command_show(struct options *o)
{
    struct err err = {0};

    if (!show(o->dir, o->json, &err))
        return EXIT_CODE_OK;
    (void)fprintf(stderr, "modelberth-initc: %s\n", err.msg);
    return exit_code_of(err.kind);
}

static int run_command(size_t i, int argc, char **argv)
{
    options_auto struct options options = {0};
    struct err err = {0};

    if (options_parse(&options, commands[i].command, argc, argv, &err)) {
        (void)fprintf(stderr, "modelberth-initc %s: %s\n", commands[i].name, err.msg);
        return EXIT_CODE_USAGE;
    }
    if (!options.help)
        return commands[i].run(&options);
    (void)printf("usage: modelberth-initc %s\n\n  %s\n\nflags:\n", commands[i].usage,
                 commands[i].help);
    options_print(stdout, commands[i].command);
    return EXIT_CODE_OK;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";

    (void)umask(022);
    json_setup();
    handle_signals();
    if (!strcmp(name, "--version")) {
        (void)puts("modelberth-initc " MODELBERTH_VERSION);
        return EXIT_CODE_OK;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        print_help(argc > 1 ? stdout : stderr);
        return argc > 1 ? EXIT_CODE_OK : EXIT_CODE_USAGE;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(name, commands[i].name))
            return run_command(i, argc - 2, argv + 2);
    (void)fprintf(
        stderr,
        "modelberth-initc: unknown command '%.60s': fetch, verify or show expected; --help "
        "explains\n",
        name);
    return EXIT_CODE_USAGE;
}
