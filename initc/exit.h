/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_EXIT_H
#define MODELBERTH_INITC_EXIT_H

#include <stdio.h>

#include "common/err.h"

/*
 * The exit codes: one table, used for exiting and for --help. A restart helps
 * where the code says so; otherwise somebody has to change something.
 */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_OTHER = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_CONTENT = 3,
    EXIT_CODE_TRANSIENT = 4,
    EXIT_CODE_SPACE = 5,
    EXIT_CODE_PERMISSION = 6,
    EXIT_CODE_SOURCE = 7,
    EXIT_CODE_MISSING = 8,
    EXIT_CODE_SIGINT = 130,
    EXIT_CODE_SIGTERM = 143,
};

int exit_code_of(enum err_kind kind);

/* What the table says of a code. */
const char *exit_text(int code);

/* One line per code. */
void exit_print_table(FILE *out);

#endif
