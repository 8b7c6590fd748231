/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "common/cleanup.h"
#include "common/json.h"
#include "webhook/inject/patch.h"

static void ops_are(const struct patch *p, const char *quoted)
{
    json_auto_t *want = json_of(quoted);
    json_auto_t *none = json_array();
    autofree char *have = json_text(p->ops ? p->ops : none);

    if (!json_equal(p->ops ? p->ops : none, want))
        fail_msg("operations are %s", have);
}

static void slash_and_tilde_are_escaped(void **state)
{
    (void)state;
    autofree char *path = pointer_key("/metadata", "a/b~c");

    assert_string_equal(path, "/metadata/a~1b~0c");
}

static void setting_what_is_there_records_nothing(void **state)
{
    (void)state;
    patch_auto struct patch p = {0};
    json_auto_t *object = json_of("{'a':{'x':1}}");

    patch_set(&p, object, "", "a", json_of("{'x':1,'y':[]}"));
    assert_int_equal(patch_size(&p), 0);
    patch_set(&p, object, "", "a", json_of("{'x':2}"));
    ops_are(&p, "[{'op':'add','path':'/a','value':{'x':2}}]");
}

static void an_absent_or_null_parent_is_added_first(void **state)
{
    (void)state;
    struct err err = {0};
    patch_auto struct patch p = {0};
    json_auto_t *object = json_of("{'volumes':null}");
    json_t *list = patch_array(&p, object, "/spec", "volumes", &err);

    patch_insert(&p, list, "/spec/volumes", 0, json_of("{'name':'a'}"));
    (void)patch_object(&p, object, "/spec", "labels", &err);
    ops_are(&p, "[{'op':'add','path':'/spec/volumes','value':[]},"
                "{'op':'add','path':'/spec/volumes/0','value':{'name':'a'}},"
                "{'op':'add','path':'/spec/labels','value':{}}]");
}

static void a_parent_of_another_type_is_an_error(void **state)
{
    (void)state;
    struct err err = {0};
    patch_auto struct patch p = {0};
    json_auto_t *object = json_of("{'volumes':'x'}");

    assert_null(patch_array(&p, object, "/spec", "volumes", &err));
    assert_string_equal(err.msg, "/spec/volumes is not a list");
}

static void operations_keep_the_value_of_their_moment(void **state)
{
    (void)state;
    patch_auto struct patch p = {0};
    json_auto_t *list = json_of("[]");

    patch_insert(&p, list, "/l", 0, json_of("{}"));
    patch_set(&p, json_array_get(list, 0), "/l/0", "a", json_integer(1));
    ops_are(&p, "[{'op':'add','path':'/l/0','value':{}},{'op':'add','path':'/l/0/a','value':1}]");
}

static void removals_name_what_was_there(void **state)
{
    (void)state;
    patch_auto struct patch p = {0};
    json_auto_t *object = json_of("{'l':[1,2],'a':1}");

    patch_remove(&p, object, "", "absent");
    patch_remove(&p, object, "", "a");
    patch_remove_at(&p, json_object_get(object, "l"), "/l", 1);
    ops_are(&p, "[{'op':'remove','path':'/a'},{'op':'remove','path':'/l/1'}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slash_and_tilde_are_escaped),
        cmocka_unit_test(setting_what_is_there_records_nothing),
        cmocka_unit_test(an_absent_or_null_parent_is_added_first),
        cmocka_unit_test(a_parent_of_another_type_is_an_error),
        cmocka_unit_test(operations_keep_the_value_of_their_moment),
        cmocka_unit_test(removals_name_what_was_there),
    };

    json_setup();
    return cmocka_run_group_tests_name("patch", tests, NULL, NULL);
}
