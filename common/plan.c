/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "json.h"
#include "path.h"
#include "source_uri.h"
#include "strbuf.h"
#include "xalloc.h"

static const char *const modes[] = {
    [VERIFY_AUTO] = "auto",           [VERIFY_QUICK] = "quick", [VERIFY_FULL] = "full",
    [VERIFY_STRUCTURE] = "structure", [VERIFY_OFF] = "off",
};

const char *verify_mode_name(enum verify_mode mode)
{
    return modes[mode];
}

int verify_mode_parse(const char *name, enum verify_mode *out, struct err *err)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(modes[i], name)) {
            *out = (enum verify_mode)i;
            return 0;
        }
    return err_set(err, ERR_INPUT, "'%.80s' is not one of auto, quick, full, structure, off", name);
}

void plan_set(char **member, const char *value)
{
    char *copy = xstrdup(value ? value : "");

    free(*member);
    *member = copy;
}

struct plan_model *plan_add(struct plan *plan)
{
    plan->models = xreallocarray(plan->models, plan->n_models + 1, sizeof *plan->models);
    struct plan_model *m = &plan->models[plan->n_models++];
    memset(m, 0, sizeof *m);
    plan_set(&m->claim, NULL);
    plan_set(&m->root, NULL);
    plan_set(&m->path, NULL);
    plan_set(&m->mount, NULL);
    plan_set(&m->source, NULL);
    plan_set(&m->version, NULL);
    plan_set(&m->credentials, NULL);
    return m;
}

void plan_release(struct plan *plan)
{
    for (size_t i = 0; i < plan->n_models; i++) {
        struct plan_model *m = &plan->models[i];
        free(m->claim);
        free(m->root);
        free(m->path);
        free(m->mount);
        free(m->source);
        free(m->version);
        free(m->credentials);
        strlist_release(&m->include);
        strlist_release(&m->exclude);
    }
    free(plan->models);
    memset(plan, 0, sizeof *plan);
}

/* The string members, once for both directions. */
static const struct {
    const char *key;
    size_t offset;
} strings[] = {
    {"claim", offsetof(struct plan_model, claim)},
    {"root", offsetof(struct plan_model, root)},
    {"path", offsetof(struct plan_model, path)},
    {"mount", offsetof(struct plan_model, mount)},
    {"source", offsetof(struct plan_model, source)},
    {"version", offsetof(struct plan_model, version)},
    {"credentials", offsetof(struct plan_model, credentials)},
};

#define STRINGS (sizeof strings / sizeof *strings)

static char **string_member(struct plan_model *m, size_t i)
{
    return (char **)((char *)m + strings[i].offset);
}

static void format_list(json_t *object, const char *key, const struct strlist *list)
{
    if (!list->n)
        return;
    json_t *array = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array, json_string(list->v[i]));
    json_object_set_new(object, key, array);
}

static json_t *format_model(const struct plan_model *m)
{
    json_t *object = json_object();

    for (size_t i = 0; i < STRINGS; i++) {
        const char *value = *string_member((struct plan_model *)m, i);
        if (*value)
            json_object_set_new(object, strings[i].key, json_string(value));
    }
    if (m->verify != VERIFY_AUTO)
        json_object_set_new(object, "verify", json_string(verify_mode_name(m->verify)));
    format_list(object, "include", &m->include);
    format_list(object, "exclude", &m->exclude);
    if (m->read_only)
        json_object_set_new(object, "readOnly", json_true());
    return object;
}

int plan_format(const struct plan *plan, char **out, struct err *err)
{
    json_auto_t *root = json_object();
    json_t *models = json_array();

    json_object_set_new(root, "v", json_integer(1));
    if (plan->timeout_s && plan->timeout_s != PLAN_DEFAULT_TIMEOUT_S)
        json_object_set_new(root, "timeoutSeconds", json_integer(plan->timeout_s));
    for (size_t i = 0; i < plan->n_models; i++)
        json_array_append_new(models, format_model(&plan->models[i]));
    json_object_set_new(root, "models", models);

    autofree char *text = json_text(root);
    strbuf_auto struct strbuf escaped = STRBUF_INIT(PLAN_MAX_BYTES);
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "$");
        strbuf_add(&escaped, at, n);
        at += n;
        if (*at == '$') {
            strbuf_adds(&escaped, "\\u0024");
            at++;
        }
    }
    if (escaped.overflow)
        return err_set(err, ERR_INPUT, "the plan is larger than %d bytes", PLAN_MAX_BYTES);
    *out = strbuf_take(&escaped);
    return 0;
}

static int parse_list(json_t *object, const char *where, const char *key, struct strlist *list,
                      struct err *err)
{
    json_t *array = NULL;
    int found = json_array_get_borrow(object, where, key, &array, err);
    size_t i;
    json_t *item;

    if (found != 1)
        return found;
    json_array_foreach(array, i, item) {
        if (!json_is_string(item))
            return err_set(err, ERR_INPUT, "%s.%s[%zu]: a string expected", where, key, i);
        strlist_add(list, json_string_value(item));
    }
    return 0;
}

static int check_model(const struct plan_model *m, const char *where, struct err *err)
{
    source_uri_auto struct source_uri source = {0};

    if (path_check_absolute("root", m->root, err))
        return err_wrap(err, "%s", where);
    if (*m->path && path_check_model_directory("path", m->path, err))
        return err_wrap(err, "%s", where);
    if (*m->credentials && path_check_absolute("credentials", m->credentials, err))
        return err_wrap(err, "%s", where);
    if (*m->source && source_uri_parse(m->source, m->version, &source, err))
        return err_wrap(err, "%s.source", where);
    if (!*m->source && *m->version)
        return err_set(err, ERR_INPUT, "%s.version: a version needs a source", where);
    return 0;
}

static int parse_model(json_t *object, const char *where, struct plan_model *m, struct err *err)
{
    const char *verify = NULL;

    if (!json_is_object(object))
        return err_set(err, ERR_INPUT, "%s: an object expected", where);
    for (size_t i = 0; i < STRINGS; i++) {
        const char *value = NULL;
        if (json_string_get(object, where, strings[i].key, &value, err) < 0)
            return -1;
        plan_set(string_member(m, i), value);
    }
    int found = json_string_get(object, where, "verify", &verify, err);
    if (found < 0)
        return -1;
    if (found && verify_mode_parse(verify, &m->verify, err))
        return err_wrap(err, "%s.verify", where);
    if (parse_list(object, where, "include", &m->include, err) < 0 ||
        parse_list(object, where, "exclude", &m->exclude, err) < 0 ||
        json_bool_get(object, where, "readOnly", &m->read_only, err) < 0)
        return -1;
    return check_model(m, where, err);
}

static bool is_known(const char *key)
{
    static const char *const others[] = {"v",      "crit",    "timeoutSeconds", "models",
                                         "verify", "include", "exclude",        "readOnly"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(others[i], key))
            return true;
    for (size_t i = 0; i < STRINGS; i++)
        if (!strcmp(strings[i].key, key))
            return true;
    return false;
}

static int check_version(json_t *root, struct err *err)
{
    struct strlist crit = {0};
    int64_t v = 0;
    int found = json_int_get(root, "plan", "v", 1, INT32_MAX, &v, err);

    if (found < 0)
        return -1;
    if (!found || v != 1)
        return err_set(err, ERR_INPUT,
                       "plan.v is %lld, this program reads 1: use the initc image "
                       "of the webhook's version",
                       (long long)v);
    int rc = parse_list(root, "plan", "crit", &crit, err);
    for (size_t i = 0; !rc && i < crit.n; i++)
        if (!is_known(crit.v[i]))
            rc = err_set(err, ERR_INPUT,
                         "plan.crit: this program does not know '%.80s', which must "
                         "not be ignored: use the initc image of the webhook's version",
                         crit.v[i]);
    strlist_release(&crit);
    return rc;
}

int plan_parse(const char *text, struct plan *out, struct err *err)
{
    static const struct json_limits limits = {.depth = 8, .memory_bytes = 8 * 1024 * 1024};
    plan_auto struct plan plan = {.timeout_s = PLAN_DEFAULT_TIMEOUT_S};
    json_auto_t *root = NULL;
    json_t *models = NULL;
    size_t len = strlen(text);
    size_t i;
    json_t *item;

    if (len > PLAN_MAX_BYTES)
        return err_set(err, ERR_INPUT, "plan: larger than %d bytes", PLAN_MAX_BYTES);
    if (json_parse(text, len, &limits, &root, err))
        return err_wrap(err, "plan");
    if (!json_is_object(root))
        return err_set(err, ERR_INPUT, "plan: an object expected");
    if (check_version(root, err))
        return -1;
    if (json_int_get(root, "plan", "timeoutSeconds", 1, PLAN_MAX_TIMEOUT_S, &plan.timeout_s, err) <
        0)
        return -1;
    int found = json_array_get_borrow(root, "plan", "models", &models, err);
    if (found < 0)
        return -1;
    if (!found || !json_array_size(models) || json_array_size(models) > PLAN_MAX_MODELS)
        return err_set(err, ERR_INPUT, "plan.models: 1 to %d models expected", PLAN_MAX_MODELS);
    json_array_foreach(models, i, item) {
        autofree char *where = xasprintf("plan.models[%zu]", i);
        if (parse_model(item, where, plan_add(&plan), err))
            return -1;
    }
    *out = plan;
    memset(&plan, 0, sizeof plan);
    return 0;
}
