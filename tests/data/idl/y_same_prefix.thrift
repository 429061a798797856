// Files of one namespace share containers of base types; both headers may be included.
// expect: #ifndef MAPPED_SET_LIST_I32_DEFINED
// expect-not: struct mapped_map_string_string {
include "include/maps.thrift"
namespace * mapped
struct Q { 1: map<string, string> m, 2: maps.Holder p, 3: set<list<i32>> s, 4: map<string, maps.Leaf> leaves }
