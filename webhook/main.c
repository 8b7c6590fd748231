/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modelberth-webhook: the admission server, and the same mutation offline.
 */
#include <stdio.h>

#include "common/err.h"
#include "common/json.h"
#include "common/strbuf.h"
#include "webhook/config.h"
#include "webhook/offline.h"
#include "webhook/options.h"
#include "webhook/server/serve.h"

#define HELP_MAX_BYTES (64 * 1024)
#define EXIT_USAGE 2

static const struct command commands[] = {
    {"serve", "answer AdmissionReviews of the API server over HTTPS", serve_run},
    {"inject", "do the same to objects in YAML files, offline", offline_inject},
    {0},
};

static int report(const struct err *err)
{
    (void)fprintf(stderr, "modelberth-webhook: %s\n", err->msg);
    return err->kind == ERR_INPUT || err->kind == ERR_DENIED ? EXIT_USAGE : 1;
}

static int print_config_help(void)
{
    strbuf_auto struct strbuf text = STRBUF_INIT(HELP_MAX_BYTES);

    config_help(&text);
    return fputs(strbuf_text(&text), stdout) < 0 || fflush(stdout) ? 1 : 0;
}

static int print_version(void)
{
    return puts("modelberth-webhook " MODELBERTH_VERSION) < 0 || fflush(stdout) ? 1 : 0;
}

int main(int argc, char *argv[])
{
    config_auto struct config config = {0};
    struct options options = {0};
    struct err err = {0};

    json_setup();
    if (options_parse(argc, argv, commands, &options, &err))
        return report(&err);
    if (options.help) {
        options_help(&options, commands, stdout);
        return fflush(stdout) ? 1 : 0;
    }
    if (options.help_config)
        return print_config_help();
    if (options.version)
        return print_version();
    log_set_level(options.log_level);
    if (options_config(&options, &config, &err) || options.command->run(&options, &config, &err))
        return report(&err);
    return 0;
}
