/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of modelberth-initc; each is one row of a table. */
#include <stdio.h>
#include <string.h>

#include "exit.h"

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        (void)puts("modelberth-initc " MODELBERTH_VERSION);
        return EXIT_CODE_OK;
    }
    (void)fputs("exit codes:\n", stderr);
    exit_print_table(stderr);
    return EXIT_CODE_USAGE;
}
