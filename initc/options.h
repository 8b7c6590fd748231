/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_OPTIONS_H
#define MODELBERTH_INITC_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"
#include "common/plan.h"

/*
 * Arguments and environment of one command. Every flag is one row of a table
 * that parsing and --help share; most can also be given by a variable of the environment.
 */
enum command { COMMAND_FETCH = 1, COMMAND_VERIFY = 2, COMMAND_SHOW = 4 };

struct options {
    bool help;
    char *source;             /* fetch: NULL takes the plan from the environment */
    char *dir;                /* verify, show; fetch --to */
    struct plan_model *model; /* fetch: what flags say; in `plan` */
    struct plan plan;
    bool timeout_given;
    enum verify_mode mode;
    bool json;
    int64_t connections;
    int64_t range_bytes;
    int64_t stall_s;
    int64_t lock_timeout_s;
    char *claims_dir;
    char *termination_log;
};

#define options_auto __attribute__((cleanup(options_release)))

/*
 * `argv` starts after the command's name. `out` is to be released by the caller, also on failure.
 * Returns 0, or -1 with ERR_INPUT; for a flag that is not known the message names the closest one.
 */
int options_parse(struct options *out, enum command command, int argc, char **argv,
                  struct err *err);

/* The flags of a command, with their variables. */
void options_print(FILE *out, enum command command);

void options_release(struct options *o);

#endif
