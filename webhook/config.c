/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/config.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/strlist.h"
#include "common/xalloc.h"
#include "webhook/close_names.h"
#include "webhook/config_values.h"
#include "webhook/yaml/yaml.h"

#define DEPTH_MAX 16
#define NODES_MAX 10000
#define PATH_MAX_BYTES 256
#define USER_MAX 2147483647
#define DRAIN_MAX_S 600

#define AT(member) offsetof(struct config, member)

/* clang-format off */
static const struct config_key keys[] = {
    {"listen", config_value_listen, AT(listen), "\"0.0.0.0:8443\"", 0, 0,
     "Address and port of the HTTPS server; [::]:8443 for IPv6 and IPv4. Port 0 takes a free one."},
    {"tls.certificate", config_value_text, AT(tls.certificate), "/etc/modelberth/tls/tls.crt", 0, 0,
     "PEM files of the serving certificate and its key, read again when they change."},
    {"tls.key", config_value_text, AT(tls.key), "/etc/modelberth/tls/tls.key", 0, 0, NULL},
    {"drainSeconds", config_value_integer, AT(drain_s), "10", 0, DRAIN_MAX_S,
     "On SIGTERM: how long to go on answering, not ready, before the end. Longer than the API\n"
     "server needs to learn that the endpoint is gone."},
    {"init.image", config_value_image, AT(init.image), "\"\"", 0, 0,
     "Image of the init container. Required, here or as --init-image."},
    {"init.imagePullPolicy", config_value_pull_policy, AT(init.image_pull_policy), "IfNotPresent", 0, 0,
     "Always, IfNotPresent or Never."},
    {"init.resources.cpu", config_value_quantity, AT(init.cpu), "\"500m\"", 0, 0,
     "Requests and limits of the init container alike, so that a Guaranteed pod stays one."},
    {"init.resources.memory", config_value_quantity, AT(init.memory), "128Mi", 0, 0, NULL},
    {"init.runAsUser", config_value_integer, AT(init.run_as_user), "65532", 0, USER_MAX,
     "User and group of the init container where the pod names none."},
    {"init.runAsGroup", config_value_integer, AT(init.run_as_group), "65532", 0, USER_MAX, NULL},
    {"init.timeout", config_value_duration, AT(init.timeout_s), "1h", 0, 0,
     "How long the init container may take, with the download: 90s, 15m, 1h30m."},
    {"init.env", config_value_env, AT(init.env), "{}", 0, 0,
     "Environment of the init container, name: value. For example\n"
     "  HTTPS_PROXY: http://proxy.example:3128\n"
     "  HF_ENDPOINT: https://hub.example"},
};
/* clang-format on */
#define N_KEYS (sizeof keys / sizeof *keys)

void config_set(char **member, const char *value)
{
    char *copy = xstrdup(value);

    free(*member);
    *member = copy;
}

struct reading {
    struct config *config;
    const char *name;
    struct yaml_positions positions;
    struct err *err;
};

/* "<file>:<line>:<column>: " in front of the message. */
static int fail_at(const struct reading *r, const json_t *object, const char *key)
{
    const struct yaml_position *at = yaml_position(&r->positions, object, key);

    if (at)
        return err_wrap(r->err, "%.300s:%zu:%zu", r->name, at->line, at->column);
    return err_wrap(r->err, "%.300s", r->name);
}

/* An unknown key: the known keys whose last part is close, else all that could stand here. */
static int unknown_key(const struct reading *r, const json_t *object, const char *key,
                       const char *path, size_t prefix_len)
{
    struct strlist known = {0};
    struct strlist here = {0};

    for (size_t i = 0; i < N_KEYS; i++) {
        strlist_add(&known, keys[i].path);
        if (strncmp(keys[i].path, path, prefix_len) != 0)
            continue;
        const char *rest = keys[i].path + prefix_len;
        autofree char *next = xstrndup(rest, strcspn(rest, "."));
        if (!strlist_has(&here, next))
            strlist_add(&here, next);
    }
    autofree char *close = close_names(path, &known);
    autofree char *all = names_listed(&here);
    if (*close)
        (void)err_set(r->err, ERR_INPUT, "unknown key '%.200s'; did you mean %s?", path, close);
    else
        (void)err_set(r->err, ERR_INPUT, "unknown key '%.200s'; the keys here are %s", path, all);
    strlist_release(&known);
    strlist_release(&here);
    return fail_at(r, object, key);
}

static const struct config_key *find_key(const char *path)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (!strcmp(keys[i].path, path))
            return &keys[i];
    return NULL;
}

static bool is_section(const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < N_KEYS; i++)
        if (!strncmp(keys[i].path, path, len) && keys[i].path[len] == '.')
            return true;
    return false;
}

static int apply(struct config *config, const struct config_key *key, const json_t *value,
                 struct err *err)
{
    return key->set(key, (char *)config + key->offset, value, err);
}

/* `prefix` is "" or ends with a dot. */
static int read_section(struct reading *r, const json_t *object, const char *prefix)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value) {
        autofree char *path = xasprintf("%s%.*s", prefix, PATH_MAX_BYTES, name);
        const struct config_key *key = find_key(path);
        if (!key && !is_section(path))
            return unknown_key(r, object, name, path, strlen(prefix));
        if (json_is_null(value))
            continue; /* `tls:` with everything below it commented out */
        if (key) {
            if (apply(r->config, key, value, r->err)) {
                (void)err_wrap(r->err, "%s", path);
                return fail_at(r, object, name);
            }
            continue;
        }
        if (!json_is_object(value)) {
            (void)err_set(r->err, ERR_INPUT, "%s: a mapping expected", path);
            return fail_at(r, object, name);
        }
        autofree char *below = xasprintf("%s.", path);
        if (read_section(r, value, below))
            return -1;
    }
    return 0;
}

static int read_document(struct reading *r, const struct yaml_doc *doc, bool *seen)
{
    static const struct yaml_limits limits = {.depth = DEPTH_MAX, .nodes = NODES_MAX};
    json_auto_t *root = NULL;
    int found = yaml_parse_document(doc, r->name, &limits, &root, &r->positions, r->err);

    if (found <= 0)
        return found;
    if (*seen)
        return err_set(r->err, ERR_INPUT, "%s:%zu:1: only one document expected", r->name,
                       doc->line + 1);
    *seen = true;
    if (json_is_null(root))
        return 0;
    if (!json_is_object(root))
        return err_set(r->err, ERR_INPUT, "%s:%zu:1: a mapping expected", r->name, doc->line + 1);
    return read_section(r, root, "");
}

int config_parse(struct config *config, const char *name, const char *text, size_t len,
                 struct err *err)
{
    struct yaml_stream stream = YAML_STREAM(text, len);
    struct yaml_doc doc;
    bool seen = false;
    int rc = 0;

    while (!rc && yaml_next(&stream, &doc)) {
        struct reading r = {.config = config, .name = name, .err = err};
        rc = read_document(&r, &doc, &seen);
        yaml_positions_release(&r.positions);
    }
    return rc;
}

int config_load(struct config *config, const char *path, struct err *err)
{
    autofree char *text = NULL;
    size_t len = 0;

    if (file_read(AT_FDCWD, path, CONFIG_MAX_BYTES, &text, &len, err))
        return -1;
    return config_parse(config, path, text, len, err);
}

void config_defaults(struct config *out)
{
    *out = (struct config){0};
    for (size_t i = 0; i < N_KEYS; i++) {
        struct yaml_doc doc = {.text = keys[i].value, .len = strlen(keys[i].value)};
        struct yaml_limits limits = {.depth = 2, .nodes = 2};
        json_auto_t *value = NULL;
        struct err err = {0};
        if (yaml_parse_document(&doc, keys[i].path, &limits, &value, NULL, &err) != 1 ||
            apply(out, &keys[i], value, &err))
            abort(); /* the table above is wrong; a unit test reads it all */
    }
}

int config_set_key(struct config *config, const char *path, const char *text, struct err *err)
{
    const struct config_key *key = find_key(path);
    json_auto_t *value = json_string(text);

    if (!value)
        return err_set(err, ERR_INPUT, "not valid UTF-8");
    return apply(config, key, value, err);
}

/* Comment lines, indented. */
static void add_comment(struct strbuf *out, const char *text, int indent)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        strbuf_addf(out, "%*s# %.*s\n", indent, "", (int)n, text);
        text += n;
        text += *text == '\n';
    }
}

/* Keys of one section stand together in the table, so a section begins where the part before the
 * last dot changes. */
void config_help(struct strbuf *out)
{
    const char *before = "";

    strbuf_adds(out, "# Every key with its default. All of them may be left out but init.image.\n");
    for (size_t i = 0; i < N_KEYS; i++) {
        const char *path = keys[i].path;
        const char *name = path;
        int indent = 0;
        bool same = true;
        for (const char *dot; (dot = strchr(name, '.')); name = dot + 1, indent += 2) {
            same = same && !strncmp(before, path, (size_t)(dot + 1 - path));
            if (!same)
                strbuf_addf(out, "%s%*s%.*s:\n", indent ? "" : "\n", indent, "", (int)(dot - name),
                            name);
        }
        if (!indent)
            strbuf_adds(out, "\n");
        if (keys[i].help)
            add_comment(out, keys[i].help, indent);
        strbuf_addf(out, "%*s%s: %s\n", indent, "", name, keys[i].value);
        before = path;
    }
}

void config_release(struct config *config)
{
    free(config->listen);
    free(config->tls.certificate);
    free(config->tls.key);
    free(config->init.image);
    free(config->init.image_pull_policy);
    free(config->init.cpu);
    free(config->init.memory);
    json_decref(config->init.env);
    *config = (struct config){0};
}
