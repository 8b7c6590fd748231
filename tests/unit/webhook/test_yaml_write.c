/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in, YAML out, and the same JSON back. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "common/strbuf.h"
#include "webhook/yaml/yaml.h"

static int parse(const char *text, json_t **out, struct err *err)
{
    static const struct yaml_limits limits = {.depth = 64, .nodes = 10000};
    struct yaml_doc doc = {.text = text, .len = strlen(text)};

    return yaml_parse_document(&doc, "f.yaml", &limits, out, NULL, err);
}

static void check_written(const char *json, const char *yaml)
{
    strbuf_auto struct strbuf out = STRBUF_INIT(65536);
    json_auto_t *value = json_of(json);

    yaml_write(&out, value);
    assert_string_equal(strbuf_text(&out), yaml);
}

static void objects_are_written_in_block_style(void **state)
{
    (void)state;
    check_written("{'b':{'c':[{'x':1,'w':[2,3]},[4,[5]],{},[]]},'a':null}", "b:\n"
                                                                            "  c:\n"
                                                                            "  - x: 1\n"
                                                                            "    w:\n"
                                                                            "    - 2\n"
                                                                            "    - 3\n"
                                                                            "  - - 4\n"
                                                                            "    - - 5\n"
                                                                            "  - {}\n"
                                                                            "  - []\n"
                                                                            "a: null\n");
    check_written("[]", "[]\n");
    check_written("[1.5, 0.1, 1e30, true]", "- 1.5\n- 0.1\n- 1e30\n- true\n");
}

static void strings_that_mean_something_else_are_quoted(void **state)
{
    (void)state;
    check_written("{'a':'true','b':'12','c':'','k':'~','e':'2026-01-02','f':'1:30','g':'y'}",
                  "a: 'true'\nb: '12'\nc: ''\nk: '~'\ne: '2026-01-02'\nf: '1:30'\ng: 'y'\n");
    check_written("{'a':'--port=80','b':'-c','c':'- x','k':'a: b','e':'a #b','f':'x:','g':'#x'}",
                  "a: --port=80\nb: -c\nc: '- x'\nk: 'a: b'\ne: 'a #b'\nf: 'x:'\ng: '#x'\n");
    check_written("{'no':'a,b','1':'http://x/y?z=1#a'}", "'no': a,b\n'1': http://x/y?z=1#a\n");
    check_written("['\\u0007', '\\u0085', '\\ud83d\\ude00', 'tab\\there']",
                  "- \"\\u0007\"\n- \"\\u0085\"\n- \xf0\x9f\x98\x80\n- \"tab\\there\"\n");
}

static void text_of_several_lines_is_a_literal_block(void **state)
{
    (void)state;
    check_written("{'a':'x\\ny\\n','b':['x\\ny','x\\n\\n'],'c':' x\\ny\\n'}", "a: |\n"
                                                                              "  x\n"
                                                                              "  y\n"
                                                                              "b:\n"
                                                                              "- |-\n"
                                                                              "  x\n"
                                                                              "  y\n"
                                                                              "- |+\n"
                                                                              "  x\n"
                                                                              "\n"
                                                                              "c: |2\n"
                                                                              "   x\n"
                                                                              "  y\n");
}

/* A pseudo-random string of pieces that are awkward in YAML. */
static char *awkward(unsigned *seed)
{
    static const char *const pieces[] = {"\n", " ",   "\t", "#", ": ", "-", "'",    "\"",  "a",
                                         "12", "~",   "%",  "|", ">",  "&", "\r",   "é",   "\\",
                                         "{",  "---", ",",  "?", "!",  "*", "true", "\n\n"};
    strbuf_auto struct strbuf out = STRBUF_INIT(256);
    int n = rand_r(seed) % 7;

    for (int i = 0; i < n; i++)
        strbuf_adds(&out, pieces[(size_t)rand_r(seed) % (sizeof pieces / sizeof *pieces)]);
    return strbuf_take(&out);
}

static void whatever_is_written_is_read_back_the_same(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        strbuf_auto struct strbuf out = STRBUF_INIT(65536);
        json_auto_t *value = json_object();
        json_t *list = json_array();
        json_auto_t *back = NULL;
        struct err err = {0};
        autofree char *key = awkward(&seed);
        autofree char *text = awkward(&seed);
        autofree char *item = awkward(&seed);
        json_array_append_new(list, json_string(item));
        json_array_append_new(list, json_pack("[[s]]", text));
        json_array_append_new(list, json_pack("{s:s, s:s}", key, text, "last", item));
        json_object_set_new(value, "list", list);
        json_object_set_new(value, key, json_pack("{s:s}", text, item));
        yaml_write(&out, value);
        if (parse(strbuf_text(&out), &back, &err) != 1)
            fail_msg("%s in\n%s", err.msg, strbuf_text(&out));
        if (!json_equal(value, back))
            fail_msg("changed by a round trip:\n%s", strbuf_text(&out));
    }
}

static void long_keys_are_read_back_the_same(void **state)
{
    char key[2000];
    strbuf_auto struct strbuf out = STRBUF_INIT(65536);
    json_auto_t *back = NULL;
    struct err err = {0};

    (void)state;
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    json_auto_t *value = json_pack("{s:[{s:{s:i}}]}", "a", key, "b", 1);
    yaml_write(&out, value);
    assert_int_equal(parse(strbuf_text(&out), &back, &err), 1);
    assert_true(json_equal(value, back));
}

static void a_rewritten_document_keeps_its_markers(void **state)
{
    struct yaml_doc doc = {.marked = true, .terminated = true};
    strbuf_auto struct strbuf out = STRBUF_INIT(4096);
    json_auto_t *value = json_of("{'a':1}");

    (void)state;
    yaml_write_document(&out, &doc, value);
    assert_string_equal(strbuf_text(&out), "---\na: 1\n...\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_written_in_block_style),
        cmocka_unit_test(strings_that_mean_something_else_are_quoted),
        cmocka_unit_test(text_of_several_lines_is_a_literal_block),
        cmocka_unit_test(whatever_is_written_is_read_back_the_same),
        cmocka_unit_test(long_keys_are_read_back_the_same),
        cmocka_unit_test(a_rewritten_document_keeps_its_markers),
    };

    return cmocka_run_group_tests_name("yaml_write", tests, NULL, NULL);
}
