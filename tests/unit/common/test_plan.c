/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "common/cleanup.h"
#include "common/json.h"
#include "common/plan.h"

static void parse_fails(const char *quoted, const char *part)
{
    struct err err = {0};
    struct plan plan = {0};
    json_auto_t *json = json_of(quoted);
    autofree char *text = json_text(json);

    assert_int_equal(plan_parse(text, &plan, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_has(err.msg, part);
    assert_null(plan.models);
}

static void what_is_formatted_is_parsed_back(void **state)
{
    (void)state;
    struct err err = {0};
    plan_auto struct plan plan = {.timeout_s = 90};
    plan_auto struct plan back = {0};
    autofree char *text = NULL;
    struct plan_model *m = plan_add(&plan);

    plan_set(&m->claim, "models");
    plan_set(&m->root, "/mnt/modelberth/models");
    plan_set(&m->path, "meta/$(HOME)/llama");
    plan_set(&m->mount, "/raid/models/llama");
    plan_set(&m->source, "hf://meta/llama");
    plan_set(&m->version, "v1");
    plan_set(&m->credentials, "/var/run/secrets/modelberth.io/t");
    m->verify = VERIFY_FULL;
    m->read_only = true;
    strlist_add(&m->include, "*.json");
    strlist_add(&m->exclude, "original/*");
    strlist_add(&m->exclude, "*.bin");

    assert_ok(plan_format(&plan, &text, &err), err);
    assert_ok(plan_parse(text, &back, &err), err);
    assert_int_equal(back.timeout_s, 90);
    assert_int_equal(back.n_models, 1);
    const struct plan_model *b = &back.models[0];
    assert_string_equal(b->claim, m->claim);
    assert_string_equal(b->root, m->root);
    assert_string_equal(b->path, m->path);
    assert_string_equal(b->mount, m->mount);
    assert_string_equal(b->source, m->source);
    assert_string_equal(b->version, m->version);
    assert_string_equal(b->credentials, m->credentials);
    assert_int_equal(b->verify, VERIFY_FULL);
    assert_true(b->read_only);
    assert_int_equal(b->include.n, 1);
    assert_int_equal(b->exclude.n, 2);
    assert_string_equal(b->exclude.v[1], "*.bin");
}

static void no_dollar_reaches_kubelet(void **state)
{
    (void)state;
    struct err err = {0};
    plan_auto struct plan plan = {0};
    autofree char *text = NULL;
    struct plan_model *m = plan_add(&plan);

    plan_set(&m->root, "/r");
    plan_set(&m->path, "$(SECRET)/$$");
    assert_ok(plan_format(&plan, &text, &err), err);
    assert_null(strchr(text, '$'));
    assert_has(text, "\\u0024(SECRET)");
}

static void a_plan_beyond_its_size_is_not_formatted(void **state)
{
    (void)state;
    struct err err = {0};
    plan_auto struct plan plan = {0};
    char *text = NULL;
    struct plan_model *m = plan_add(&plan);

    for (int i = 0; i < 7000; i++)
        strlist_add(&m->include, "*.safetensors");
    assert_int_equal(plan_format(&plan, &text, &err), -1);
    assert_has(err.msg, "larger than 65536");
    assert_null(text);
}

static void unknown_members_are_ignored(void **state)
{
    (void)state;
    struct err err = {0};
    plan_auto struct plan plan = {0};

    assert_ok(
        plan_parse("{\"v\":1,\"new\":1,\"models\":[{\"root\":\"/r\",\"newer\":{}}]}", &plan, &err),
        err);
}

static void unknown_critical_members_are_refused(void **state)
{
    (void)state;
    parse_fails("{'v':1,'crit':['source','signature'],'models':[{'root':'/r'}]}", "'signature'");
}

static void another_version_is_refused(void **state)
{
    (void)state;
    parse_fails("{'v':2,'models':[{'root':'/r'}]}", "plan.v is 2");
    parse_fails("{'models':[{'root':'/r'}]}", "plan.v is 0");
}

static void malformed_members_are_named(void **state)
{
    (void)state;
    parse_fails("{'v':1}", "plan.models");
    parse_fails("{'v':1,'models':[]}", "1 to 64 models");
    parse_fails("{'v':1,'models':[3]}", "plan.models[0]: an object");
    parse_fails("{'v':1,'models':[{'root':'r'}]}", "plan.models[0]: root 'r' must be absolute");
    parse_fails("{'v':1,'models':[{'root':'/r','path':'../x'}]}", "'..' segment");
    parse_fails("{'v':1,'models':[{'root':'/r','verify':'maybe'}]}", "plan.models[0].verify");
    parse_fails("{'v':1,'models':[{'root':'/r','source':'ftp://x/y'}]}", "scheme 'ftp'");
    parse_fails("{'v':1,'models':[{'root':'/r','version':'v1'}]}", "a version needs a source");
    parse_fails("{'v':1,'models':[{'root':'/r','include':[1]}]}", "include[0]: a string");
    parse_fails("{'v':1,'timeoutSeconds':0,'models':[{'root':'/r'}]}", "timeoutSeconds");
    parse_fails("[]", "an object expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_formatted_is_parsed_back),
        cmocka_unit_test(no_dollar_reaches_kubelet),
        cmocka_unit_test(a_plan_beyond_its_size_is_not_formatted),
        cmocka_unit_test(unknown_members_are_ignored),
        cmocka_unit_test(unknown_critical_members_are_refused),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(malformed_members_are_named),
    };

    json_setup();
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
