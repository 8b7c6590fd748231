/* SPDX-License-Identifier: Apache-2.0 */
#include "exit.h"

static const struct {
    enum exit_code code;
    const char *text;
} codes[] = {
    {EXIT_CODE_OK, "the model is there and verified"},
    {EXIT_CODE_OTHER, "anything else"},
    {EXIT_CODE_USAGE, "wrong usage or a bad plan"},
    {EXIT_CODE_CONTENT, "content does not match the pin"},
    {EXIT_CODE_TRANSIENT, "transient trouble: worth a restart, what was fetched is kept"},
    {EXIT_CODE_SPACE, "no space left or quota reached"},
    {EXIT_CODE_PERMISSION, "no permission, read-only or unsupported volume"},
    {EXIT_CODE_SOURCE, "the source says no: 401, 403, 404, gated, no such revision"},
    {EXIT_CODE_MISSING, "the path is missing or structurally broken"},
    {EXIT_CODE_SIGINT, "interrupted (SIGINT): what was fetched is kept"},
    {EXIT_CODE_SIGTERM, "terminated (SIGTERM): what was fetched is kept"},
};

int exit_code_of(enum err_kind kind)
{
    switch (kind) {
    case ERR_INPUT:
        return EXIT_CODE_USAGE;
    case ERR_INTEGRITY:
        return EXIT_CODE_CONTENT;
    case ERR_RETRY:
        return EXIT_CODE_TRANSIENT;
    case ERR_NOSPACE:
        return EXIT_CODE_SPACE;
    case ERR_PERMISSION:
        return EXIT_CODE_PERMISSION;
    case ERR_SOURCE:
    case ERR_DENIED:
        return EXIT_CODE_SOURCE;
    case ERR_MISSING:
        return EXIT_CODE_MISSING;
    case ERR_SYSTEM:
        break;
    }
    return EXIT_CODE_OTHER;
}

void exit_print_table(FILE *out)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        (void)fprintf(out, "  %3d  %s\n", (int)codes[i].code, codes[i].text);
}

const char *exit_text(int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if ((int)codes[i].code == code)
            return codes[i].text;
    return "anything else";
}
