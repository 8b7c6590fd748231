/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_OPTIONS_H
#define MODELBERTH_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"
#include "common/log.h"
#include "webhook/config.h"

/*
 * The command line. Strings are borrowed from argv; NULL where the flag was
 * not given. Flags that are settings too win over the config file.
 */
struct options {
    const struct command *command; /* NULL: only help or version was asked */
    bool help;
    bool help_config;
    bool version;
    const char *log_level_name;
    enum log_level log_level;
    const char *config_file;
    const char *init_image;
    /* serve */
    const char *listen;
    const char *tls_cert;
    const char *tls_key;
    const char *ready_file;
    /* inject */
    const char *input;  /* a file, or "-" */
    const char *output; /* a file; NULL is standard output */
};

/* A command of the program: help, parsing and dispatch follow one table. */
struct command {
    const char *name;
    const char *summary;
    int (*run)(const struct options *options, const struct config *config, struct err *err);
};

/* `commands` ends with a command without name. Returns 0, or -1 with ERR_INPUT. */
int options_parse(int argc, char *const argv[], const struct command *commands, struct options *out,
                  struct err *err);

/* The config file, if any, with the flags over it. `out` must be released either way. */
int options_config(const struct options *options, struct config *out, struct err *err);

/* Prints the usage of options->command, or of the program when it is NULL. */
void options_help(const struct options *options, const struct command *commands, FILE *out);

#endif
