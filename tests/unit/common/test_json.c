/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/xalloc.h"

static const struct json_limits small = {.depth = 4, .memory_bytes = 64 * 1024};

static void a_text_within_the_limits_is_parsed(void **state)
{
    (void)state;
    struct err err = {0};
    json_auto_t *value = NULL;

    assert_ok(json_parse("{\"a\":[1]}", 9, &small, &value, &err), err);
    assert_int_equal(json_array_size(json_object_get(value, "a")), 1);
}

static void nesting_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    json_t *value = NULL;

    assert_int_equal(json_parse("[[[[[1]]]]]", 11, &small, &value, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_has(err.msg, "deeper than 4");
}

static void brackets_inside_strings_are_no_nesting(void **state)
{
    (void)state;
    struct err err = {0};
    json_auto_t *value = NULL;
    const char *text = "[\"[[[[[[\\\"[[[\"]";

    assert_ok(json_parse(text, strlen(text), &small, &value, &err), err);
}

static void a_tree_that_outgrows_its_budget_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    json_t *value = NULL;
    size_t n = 30000;
    autofree char *text = xmalloc(n);

    memset(text, ' ', n);
    text[0] = '[';
    for (size_t i = 1; i + 4 < n; i += 3)
        memcpy(text + i, "{},", 3);
    memcpy(text + n - 3, "{}]", 3);
    assert_int_equal(json_parse(text, n, &small, &value, &err), -1);
    assert_has(err.msg, "more than 65536 bytes");
}

static void the_budget_ends_with_the_parse(void **state)
{
    (void)state;
    json_auto_t *array = json_array();

    for (int i = 0; i < 10000; i++)
        assert_int_equal(json_array_append_new(array, json_object()), 0);
}

static void malformed_text_is_refused_with_line_and_column(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "[1,]", "{\"a\":1,\"a\":2}", "nul", "[\"\\u0000\"]", "1 2"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        json_t *value = NULL;
        assert_int_equal(json_parse(bad[i], strlen(bad[i]), &small, &value, &err), -1);
        assert_has(err.msg, "line 1 column");
    }
}

static void null_and_absent_members_are_the_same(void **state)
{
    (void)state;
    struct err err = {0};
    const char *text = NULL;
    json_auto_t *object = json_of("{'a':null,'b':'x','c':3}");

    assert_int_equal(json_string_get(object, "o", "a", &text, &err), 0);
    assert_int_equal(json_string_get(object, "o", "z", &text, &err), 0);
    assert_int_equal(json_string_get(object, "o", "b", &text, &err), 1);
    assert_string_equal(text, "x");
    assert_int_equal(json_string_get(object, "o", "c", &text, &err), -1);
    assert_string_equal(err.msg, "o.c: a string expected");
}

static void numbers_outside_their_range_are_refused(void **state)
{
    (void)state;
    struct err err = {0};
    int64_t n = 0;
    json_auto_t *object = json_of("{'n':70000}");

    assert_int_equal(json_int_get(object, "o", "n", 0, 65535, &n, &err), -1);
    assert_has(err.msg, "70000 is not within 0 to 65535");
    assert_int_equal(json_int_get(object, "o", "n", 0, 70000, &n, &err), 1);
}

static void absent_and_empty_are_equivalent(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"{'a':1}", "{'a':1,'c':{},'d':[],'e':''}", true},
        {"{'a':{'x':1}}", "{'a':{'x':1,'y':null}}", true},
        {"[1,{'a':1}]", "[1,{'a':1,'z':null}]", true},
        {"{}", "{'b':false}", false},
        {"{'a':1}", "{'a':1,'z':0}", false},
        {"{'a':1}", "{'a':1,'b':true}", false},
        {"{'a':1,'b':true}", "{'a':1}", false},
        {"[1]", "[1,2]", false},
        {"'x'", "'y'", false},
        {"1", "'1'", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_auto_t *a = json_of(cases[i].a);
        json_auto_t *b = json_of(cases[i].b);
        assert_int_equal(json_equivalent(a, b), cases[i].same);
        assert_int_equal(json_equivalent(b, a), cases[i].same);
    }
}

static void a_string_cut_inside_a_character_stays_a_string(void **state)
{
    (void)state;
    json_auto_t *value = json_string_lossy("caf\xc3");

    assert_string_equal(json_string_value(value), "caf?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_within_the_limits_is_parsed),
        cmocka_unit_test(nesting_beyond_the_limit_is_refused),
        cmocka_unit_test(brackets_inside_strings_are_no_nesting),
        cmocka_unit_test(a_tree_that_outgrows_its_budget_is_refused),
        cmocka_unit_test(the_budget_ends_with_the_parse),
        cmocka_unit_test(malformed_text_is_refused_with_line_and_column),
        cmocka_unit_test(null_and_absent_members_are_the_same),
        cmocka_unit_test(numbers_outside_their_range_are_refused),
        cmocka_unit_test(absent_and_empty_are_equivalent),
        cmocka_unit_test(a_string_cut_inside_a_character_stays_a_string),
    };

    json_setup();
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
