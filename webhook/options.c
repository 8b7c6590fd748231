/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/options.h"

#include <stddef.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define USAGE_COLUMN 28

/* Flags of every command, and of none. */
#define ALL NULL

struct flag {
    const char *name;
    char letter;          /* short form, or 0 */
    const char *argument; /* what follows it; NULL for a switch */
    const char *command;
    size_t offset;       /* in struct options: const char *, or bool for a switch */
    const char *setting; /* the key of the config file that it overrides */
    const char *help;
    bool required; /* by its command */
};

#define AT(member) offsetof(struct options, member)

static const struct flag flags[] = {
    {"config", 0, "FILE", ALL, AT(config_file), NULL, "settings, YAML; see --help-config", false},
    {"init-image", 0, "IMAGE", ALL, AT(init_image), "init.image", "image of the init container",
     false},
    {"listen", 0, "ADDR:PORT", "serve", AT(listen), "listen", "port 0 takes a free one", false},
    {"tls-cert", 0, "FILE", "serve", AT(tls_cert), "tls.certificate", "PEM certificate", false},
    {"tls-key", 0, "FILE", "serve", AT(tls_key), "tls.key", "PEM key", false},
    {"ready-file", 0, "FILE", "serve", AT(ready_file), NULL,
     "write {\"port\":N} here once requests are answered", false},
    {"log-level", 0, "LEVEL", "serve", AT(log_level_name), NULL, "debug, info, warn or error",
     false},
    {"file", 'f', "FILE", "inject", AT(input), NULL, "YAML documents to change; - for stdin", true},
    {"output", 'o', "FILE", "inject", AT(output), NULL, "instead of standard output", false},
    {"help-config", 0, NULL, ALL, AT(help_config), NULL, "print a config file with every key",
     false},
    {"help", 'h', NULL, ALL, AT(help), NULL, "print this", false},
    {"version", 0, NULL, ALL, AT(version), NULL, "print the version", false},
};
#define N_FLAGS (sizeof flags / sizeof *flags)

/* Whether the flag may be given with the command (NULL: before any). */
static bool belongs(const struct flag *flag, const struct command *command)
{
    return flag->command == ALL || (command && !strcmp(flag->command, command->name));
}

/* The flag that an argument names: "--name", "--name=value", "-n". */
static const struct flag *find_flag(const char *argument, const struct command *command)
{
    bool is_long = !strncmp(argument, "--", 2);

    for (size_t i = 0; i < N_FLAGS; i++) {
        const struct flag *flag = &flags[i];
        size_t len = strlen(flag->name);
        if (!belongs(flag, command))
            continue;
        if (is_long && !strncmp(argument + 2, flag->name, len) &&
            (!argument[2 + len] || argument[2 + len] == '='))
            return flag;
        if (!is_long && flag->letter && argument[1] == flag->letter && !argument[2])
            return flag;
    }
    return NULL;
}

/* Reads argv[*i] and, where it takes one, its argument; *i is moved to the last one read. */
static int read_flag(int argc, char *const argv[], int *i, struct options *out, struct err *err)
{
    const char *argument = argv[*i];
    const struct flag *flag = find_flag(argument, out->command);
    const char *value = strchr(argument, '=');

    if (!flag)
        return err_set(err, ERR_INPUT, "no option '%.100s'%s%s; see --help", argument,
                       out->command ? " for " : "", out->command ? out->command->name : "");
    char *member = (char *)out + flag->offset;
    if (!flag->argument) {
        if (value)
            return err_set(err, ERR_INPUT, "--%s takes no value", flag->name);
        *(bool *)member = true;
        return 0;
    }
    if (!value && *i + 1 == argc)
        return err_set(err, ERR_INPUT, "--%s needs %s", flag->name, flag->argument);
    *(const char **)member = value ? value + 1 : argv[++*i];
    if (!**(const char **)member)
        return err_set(err, ERR_INPUT, "--%s needs %s", flag->name, flag->argument);
    return 0;
}

static int read_command(const char *name, const struct command *commands, struct options *out,
                        struct err *err)
{
    if (out->command)
        return err_set(err, ERR_INPUT, "'%.100s' is too much; see %s --help", name,
                       out->command->name);
    for (const struct command *c = commands; c->name; c++)
        if (!strcmp(c->name, name))
            out->command = c;
    return out->command ? 0 : err_set(err, ERR_INPUT, "no command '%.100s'; see --help", name);
}

static const char *text_of(const struct options *options, const struct flag *flag)
{
    const char *value;

    memcpy(&value, (const char *)options + flag->offset, sizeof value);
    return value;
}

static int check_complete(const struct options *options, struct err *err)
{
    if (!options->command)
        return err_set(err, ERR_INPUT, "a command is missing; see --help");
    for (size_t i = 0; i < N_FLAGS; i++)
        if (flags[i].required && belongs(&flags[i], options->command) &&
            !text_of(options, &flags[i]))
            return err_set(err, ERR_INPUT, "%s needs --%s %s; see --help", options->command->name,
                           flags[i].name, flags[i].argument);
    return 0;
}

int options_parse(int argc, char *const argv[], const struct command *commands, struct options *out,
                  struct err *err)
{
    struct options options = {.log_level = LOG_INFO};

    for (int i = 1; i < argc; i++) {
        bool is_flag = argv[i][0] == '-' && argv[i][1];
        if (is_flag ? read_flag(argc, argv, &i, &options, err)
                    : read_command(argv[i], commands, &options, err))
            return -1;
    }
    if (options.log_level_name && !log_level_parse(options.log_level_name, &options.log_level))
        return err_set(err, ERR_INPUT, "--log-level: '%.40s' is none of debug, info, warn, error",
                       options.log_level_name);
    if (!options.help && !options.help_config && !options.version && check_complete(&options, err))
        return -1;
    *out = options;
    return 0;
}

int options_config(const struct options *options, struct config *out, struct err *err)
{
    config_defaults(out);
    if (options->config_file && config_load(out, options->config_file, err))
        return -1;
    for (size_t i = 0; i < N_FLAGS; i++) {
        const char *value = flags[i].setting ? text_of(options, &flags[i]) : NULL;
        if (value && config_set_key(out, flags[i].setting, value, err))
            return err_wrap(err, "--%s", flags[i].name);
    }
    if (!*out->init.image)
        return err_set(err, ERR_INPUT,
                       "the init container's image is missing: set init.image in the config file, "
                       "or give --init-image");
    return 0;
}

static void print_flags(const struct command *command, FILE *out)
{
    for (size_t i = 0; i < N_FLAGS; i++) {
        const struct flag *flag = &flags[i];
        if (!belongs(flag, command))
            continue;
        autofree char *letter = flag->letter ? xasprintf("-%c, ", flag->letter) : xstrdup("");
        autofree char *usage =
            xasprintf("%s--%s%s%s", letter, flag->name, flag->argument ? " " : "",
                      flag->argument ? flag->argument : "");
        (void)fprintf(out, "  %-*s %s\n", USAGE_COLUMN, usage, flag->help);
    }
}

void options_help(const struct options *options, const struct command *commands, FILE *out)
{
    const struct command *command = options->command;

    if (command) {
        (void)fprintf(out, "usage: modelberth-webhook %s [options]\n\n%s\n\n", command->name,
                      command->summary);
    } else {
        (void)fputs("usage: modelberth-webhook COMMAND [options]\n\n", out);
        for (const struct command *c = commands; c->name; c++)
            (void)fprintf(out, "  %-*s %s\n", USAGE_COLUMN, c->name, c->summary);
        (void)fputs("\n", out);
    }
    print_flags(command, out);
    (void)fputs("\nexit codes: 0 done, 2 wrong usage, config or input, 1 anything else\n", out);
}
